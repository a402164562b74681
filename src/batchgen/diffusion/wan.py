"""Wan 2: a transformer over patches of the latent clip that attends to the states of UMT5."""

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from torch import Tensor
from transformers.models.t5.tokenization_t5 import T5Tokenizer
from transformers.models.umt5.modeling_umt5 import UMT5EncoderModel

from batchgen.diffusion.clips import ClipDecoder, ClipDenoiser, frames_of
from batchgen.diffusion.component import Part
from batchgen.diffusion.conditioning import Encoded, Wording
from batchgen.diffusion.denoiser import Predict
from batchgen.job import Job

_LENGTH = 512
"""Tokens that Wan was made for."""


class WanDenoiser(ClipDenoiser):
    """A loaded model of family `wan`."""

    parts = (
        Part(name="tokenizer", kind=T5Tokenizer, weights=False),
        Part(name="text_encoder", kind=UMT5EncoderModel),
        Part(name="transformer", kind=WanTransformer3DModel),
        # Its authors decode in fp32, whatever the rest is in.
        Part(name="vae", kind=AutoencoderKLWan, dtype=torch.float32),
    )
    masked = True
    text_length = _LENGTH

    @classmethod
    def channels(cls, vae: Any, *, animates: bool) -> int:
        """Return the channels of a latent."""
        del animates
        return int(vae.config.z_dim)

    def encode(self, wording: Wording) -> Encoded:
        """Return UMT5's states of a text, and zeros for padding; as `ClipDenoiser.encode`."""
        encoded = super().encode(wording)
        encoded.states[:, encoded.tokens + 1 :] = 0  # behind the text's end
        return encoded

    def latent_shape(self, job: Job) -> tuple[int, ...]:
        """Return channels, frames, height and width."""
        vae = self._parts["vae"].config
        sides = (side // vae.scale_factor_spatial for side in (job.canvas.height, job.canvas.width))
        return (vae.z_dim, frames_of(job, vae.scale_factor_temporal), *sides)

    def predictor(self, texts: Sequence[Encoded], job: Job, beside: Tensor | None = None) -> Predict:
        """Return how to predict for as many rows as there are texts."""
        del job, beside
        states = self._states(texts)

        def predict(latents: Tensor, timestep: float) -> Tensor:
            output: Tensor = self._transformer(
                hidden_states=latents.to(self.dtype),
                timestep=self._times(timestep, len(texts)),
                encoder_hidden_states=states,
                return_dict=False,
            )[0]
            return output.float()

        return predict

    def _decoder(self, vae: AutoencoderKLWan) -> ClipDecoder:
        return _Decoder(vae)


class _Decoder(ClipDecoder):
    """Wan's autoencoder, with a mean and a deviation for each channel."""

    def _unscaled(self, latents: Tensor) -> Tensor:
        config = self._vae.config
        mean, deviation = (
            latents.new_tensor(numbers).view(1, -1, 1, 1, 1) for numbers in (config.latents_mean, config.latents_std)
        )
        return latents * deviation + mean
