"""What is on disk: a run directory, its lock and journal, pictures and the records inside them."""
