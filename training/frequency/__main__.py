"""`python -m training.frequency`: see train.py."""

from training.frequency.train import main

if __name__ == "__main__":
    main()
