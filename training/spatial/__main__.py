"""`python -m training.spatial`: see train.py."""

from training.spatial.train import main

if __name__ == "__main__":
    main()
