"""A run: the loop over a plan, and the process that holds the model."""
