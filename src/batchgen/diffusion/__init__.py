"""Models at work: the only room that knows torch, diffusers and transformers."""
