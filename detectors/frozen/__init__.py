"""Detectors that are a linear head on a frozen backbone."""
