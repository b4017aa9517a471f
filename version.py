"""Which version of the program is this? Said once, here. Imports nothing."""

__version__ = "0.1.0"
