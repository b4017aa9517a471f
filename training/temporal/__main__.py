"""`python -m training.temporal`: see train.py."""

from training.temporal.train import main

if __name__ == "__main__":
    main()
