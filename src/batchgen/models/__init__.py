"""Models as files: which there are, where they are, whether they are whole, and what their digest is. No torch."""
