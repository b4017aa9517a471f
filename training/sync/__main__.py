"""`python -m training.sync`: see train.py."""

from training.sync.train import main

if __name__ == "__main__":
    main()
