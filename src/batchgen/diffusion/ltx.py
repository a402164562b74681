"""LTX-Video: a transformer over the pixels of a latent clip, each of 32 x 32 x 8, that is told the frames a second."""

from collections.abc import Sequence

import torch
from diffusers.models.autoencoders.autoencoder_kl_ltx import AutoencoderKLLTXVideo
from diffusers.models.transformers.transformer_ltx import LTXVideoTransformer3DModel
from torch import Tensor
from transformers.models.t5.modeling_t5 import T5EncoderModel
from transformers.models.t5.tokenization_t5 import T5Tokenizer

from batchgen.diffusion.clips import ClipDecoder, ClipDenoiser, frames_of
from batchgen.diffusion.component import Part
from batchgen.diffusion.conditioning import Encoded
from batchgen.diffusion.denoiser import Predict
from batchgen.diffusion.loading import outline_parts
from batchgen.errors import ModelError
from batchgen.job import Job, Model

_LENGTH = 128
"""Tokens that LTX-Video was made for."""


class LTXDenoiser(ClipDenoiser):
    """A loaded model of family `ltx`."""

    parts = (
        Part(name="tokenizer", kind=T5Tokenizer, weights=False),
        Part(name="text_encoder", kind=T5EncoderModel),
        Part(name="transformer", kind=LTXVideoTransformer3DModel),
        Part(name="vae", kind=AutoencoderKLLTXVideo),
    )
    text_length = _LENGTH

    @classmethod
    def examine(cls, model: Model) -> None:
        """As `ClipDenoiser.examine`; LTX-Video from 0.9.1 on is refused, whose autoencoder denoises a last time."""
        super().examine(model)
        parts = outline_parts(model, cls.parts)
        if parts["vae"].config.timestep_conditioning:
            text = "its autoencoder is told a timestep (LTX-Video 0.9.1 and later); batchgen renders with 0.9.0"
            raise ModelError(text, where=model.path)

    def latent_shape(self, job: Job) -> tuple[int, ...]:
        """Return channels, frames, height and width."""
        vae = self._parts["vae"]
        sides = (side // vae.spatial_compression_ratio for side in (job.canvas.height, job.canvas.width))
        return (vae.config.latent_channels, frames_of(job, vae.temporal_compression_ratio), *sides)

    def predictor(self, texts: Sequence[Encoded], job: Job, beside: Tensor | None = None) -> Predict:
        """Return how to predict for as many rows as there are texts. Padding of texts is not attended to."""
        del beside
        states = self._states(texts)
        ends = torch.tensor([text.tokens + 1 for text in texts], device=self._device)
        mask = torch.arange(states.shape[1], device=self._device) < ends[:, None]
        _, *places = self.latent_shape(job)
        vae = self._parts["vae"]
        side = vae.spatial_compression_ratio
        scales = (vae.temporal_compression_ratio / job.motion.fps, side, side)

        def predict(latents: Tensor, timestep: float) -> Tensor:
            output: Tensor = self._transformer(
                hidden_states=latents.flatten(2).transpose(1, 2).to(self.dtype),
                encoder_hidden_states=states,
                timestep=self._times(timestep, len(texts)),
                encoder_attention_mask=mask,
                num_frames=places[0],
                height=places[1],
                width=places[2],
                rope_interpolation_scale=scales,
                return_dict=False,
            )[0]
            return output.float().transpose(1, 2).reshape(latents.shape)

        return predict

    def _decoder(self, vae: AutoencoderKLLTXVideo) -> ClipDecoder:
        return _Decoder(vae)


class _Decoder(ClipDecoder):
    """LTX-Video's autoencoder, with a mean and a deviation for each channel among its weights."""

    def _unscaled(self, latents: Tensor) -> Tensor:
        mean, deviation = (
            each.to(latents).view(1, -1, 1, 1, 1) for each in (self._vae.latents_mean, self._vae.latents_std)
        )
        unscaled: Tensor = latents * deviation / float(self._vae.config.scaling_factor) + mean
        return unscaled
