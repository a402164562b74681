"""What a family of models must be able to do for a session to render with it."""

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from batchgen.diffusion.adapters import Adapters
from batchgen.diffusion.conditioning import Encoded, Wording
from batchgen.diffusion.decoding import Decoder
from batchgen.job import Job

Predict = Callable[[Tensor, float], Tensor]
"""Latents of shape (rows, *shape of one) and a timestep to what the model predicts, of the same shape."""


class Denoiser(Protocol):
    """The loaded parts of one model."""

    decoder: Decoder
    adapters: Adapters
    """What is laid beside its weights."""
    dtype: torch.dtype

    @property
    def inpaints(self) -> bool:
        """Whether it was made for inpainting, and needs a picture and a mask."""
        ...

    def encode(self, wording: Wording) -> Encoded:
        """Return what the model makes of a text; the text encoders are brought to the device for it."""
        ...

    def latent_shape(self, job: Job) -> tuple[int, ...]:
        """Return the shape of the latent of one picture, (channels, height, width), or of one clip."""
        ...

    def predictor(self, texts: Sequence[Encoded], job: Job, beside: Tensor | None = None) -> Predict:
        """Return how to predict for as many rows as there are texts, all of one length, with what `job` asks for.

        `beside`: what a model takes with the latents, for inpainting or of a first frame, as many rows.
        """
        ...

    def to_decoding(self) -> None:
        """Have the autoencoder on the device."""
        ...
