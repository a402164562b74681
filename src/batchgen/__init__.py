"""batchgen: a declarative batch runner for diffusion models."""

__version__ = "0.1.0"
