"""`python -m training.cards`: see figures.py."""

from training.cards.figures import main

if __name__ == "__main__":
    main()
