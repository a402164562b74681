"""What other tools write into pictures, and how batchgen says the same in their words. Pure: text in, text out."""
