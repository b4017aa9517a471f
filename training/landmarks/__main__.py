"""`python -m training.landmarks`: see train.py."""

from training.landmarks.train import main

if __name__ == "__main__":
    main()
