"""What can be known before the first model is loaded: whether this machine can do what it is asked for."""
