"""Charts: which sampler is good at how many steps, and what it costs; drawn with matplotlib."""
