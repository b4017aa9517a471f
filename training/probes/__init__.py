"""Linear heads on the frozen backbone: the experts for generated faces and for redrawn mouths."""
