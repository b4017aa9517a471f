"""How are very many files examined? A row a file, on this machine or on a cluster."""
