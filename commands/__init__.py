"""What does each command of the command line do? One file a command, or a family of them.

Each file has an ``add…`` that declares the command's arguments and a ``run…`` that carries it out
and returns the exit code. The rooms to the left are imported inside ``run…``, so that ``--help`` is
quick and free of torch.
"""
