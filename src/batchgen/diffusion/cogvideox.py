"""CogVideoX: a transformer over patches of the latent clip and T5's states, from words or from a first frame."""

from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX
from diffusers.models.embeddings import get_3d_rotary_pos_embed
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from torch import Tensor
from transformers.models.t5.modeling_t5 import T5EncoderModel
from transformers.models.t5.tokenization_t5 import T5Tokenizer

from batchgen.diffusion.clips import AnimatingDecoder, ClipDecoder, ClipDenoiser, frames_of
from batchgen.diffusion.component import Part
from batchgen.diffusion.conditioning import Encoded
from batchgen.diffusion.denoiser import Predict
from batchgen.job import Job

_OFS = 2.0
"""What CogVideoX 1.5 is told beside the timestep when it animates a picture, as diffusers' pipeline does."""

Rotations = tuple[Tensor, Tensor]
"""Cosines and sines of where each patch stands."""


class CogVideoXDenoiser(ClipDenoiser):
    """A loaded model of family `cogvideox` or `cogvideox_i2v`."""

    parts = (
        Part(name="tokenizer", kind=T5Tokenizer, weights=False),
        Part(name="text_encoder", kind=T5EncoderModel),
        Part(name="transformer", kind=CogVideoXTransformer3DModel),
        Part(name="vae", kind=AutoencoderKLCogVideoX),
    )

    @property
    def text_length(self) -> int:
        """Tokens that the denoiser takes; it attends to padding as well."""
        return int(self._transformer.config.max_text_seq_length)

    def _decoder(self, vae: AutoencoderKLCogVideoX) -> ClipDecoder:
        return _Decoder(vae, self._transformer.config.patch_size_t)

    def latent_shape(self, job: Job) -> tuple[int, ...]:
        """Return frames, channels, height and width; frames are even for CogVideoX 1.5, whose patches have two."""
        vae = self._parts["vae"].config
        frames, scale = frames_of(job, vae.temporal_compression_ratio), 2 ** (len(vae.block_out_channels) - 1)
        frames += -frames % (self._transformer.config.patch_size_t or 1)
        return (frames, vae.latent_channels, job.canvas.height // scale, job.canvas.width // scale)

    def predictor(self, texts: Sequence[Encoded], job: Job, beside: Tensor | None = None) -> Predict:
        """Return how to predict for as many rows as there are texts; `beside`: the first frame, to animate it."""
        states = self._states(texts)
        rotations = self._rotations(self.latent_shape(job))
        # One number for all rows, as the pipeline has it.
        ofs = None if self._transformer.config.ofs_embed_dim is None else states.new_full((1,), _OFS)

        def predict(latents: Tensor, timestep: float) -> Tensor:
            output: Tensor = self._transformer(
                hidden_states=self._with_beside(latents, beside).to(self.dtype),
                encoder_hidden_states=states,
                timestep=self._times(timestep, len(texts)),
                ofs=ofs,
                image_rotary_emb=rotations,
                return_dict=False,
            )[0]
            return output.float()

        return predict

    def _with_beside(self, latents: Tensor, beside: Tensor | None) -> Tensor:
        """Add the first frame for a model that animates it; nothing is known of it in a rehearsal."""
        lacking = int(self._transformer.config.in_channels) - latents.shape[2]
        if not lacking:
            return latents
        return torch.cat((latents, torch.zeros_like(latents) if beside is None else beside.to(latents)), dim=2)

    def _rotations(self, shape: tuple[int, ...]) -> Rotations | None:
        """Return where patches stand, as diffusers' pipeline counts; None: the network knows by itself (2B)."""
        config = self._transformer.config
        if not config.use_rotary_positional_embeddings:
            return None
        frames, _, height, width = shape
        grid = height // config.patch_size, width // config.patch_size
        largest = config.sample_height // config.patch_size, config.sample_width // config.patch_size
        if config.patch_size_t is None:
            how: dict[str, Any] = {"crops_coords": _within(grid, largest), "temporal_size": frames}
        else:
            how = {"crops_coords": None, "temporal_size": -(-frames // config.patch_size_t)}
            how |= {"grid_type": "slice", "max_size": largest}
        found: Rotations = get_3d_rotary_pos_embed(
            embed_dim=config.attention_head_dim, grid_size=grid, device=self._device, **how
        )
        return found


def _within(grid: tuple[int, int], largest: tuple[int, int]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return the corners, top left and bottom right, of a grid fitted into the middle of the one of training."""
    height, width = largest
    if grid[0] * width > height * grid[1]:
        fitted = height, round(height / grid[0] * grid[1])
    else:
        fitted = round(width / grid[1] * grid[0]), width
    top, left = round((height - fitted[0]) / 2), round((width - fitted[1]) / 2)
    return (top, left), (top + fitted[0], left + fitted[1])


class _Decoder(AnimatingDecoder):
    """CogVideoX's autoencoder, for latents with frames before channels."""

    def __init__(self, vae: AutoencoderKLCogVideoX, patch_frames: int | None) -> None:
        super().__init__(vae)
        self._patch_frames = patch_frames
        for side in ("height", "width"):
            _overlap_whole(vae, side)

    def _tile(self) -> tuple[int, int]:
        return self._vae.tile_latent_min_height, self._vae.tile_latent_min_width

    def _unscaled(self, latents: Tensor) -> Tensor:
        # The frame that filled a patch up stands before the others. Without it their number is odd: frames are 8k+1.
        filled = 0 if self._patch_frames is None else 1 - latents.shape[1] % 2
        return latents[:, filled:].float().transpose(1, 2) / float(self._vae.config.scaling_factor)

    def first_frame(self, image: Tensor, job: Job) -> Tensor:
        """Return the latents of the first frame, and nothing in the others; as `AnimatingDecoder`."""
        latents = self.encode(image[:, :, None]).transpose(1, 2)
        frames = frames_of(job, self._vae.config.temporal_compression_ratio)
        frames += -frames % (self._patch_frames or 1)
        return torch.cat((latents, latents.new_zeros(1, frames - 1, *latents.shape[2:])), dim=1)

    def _scaled(self, latents: Tensor) -> Tensor:
        # CogVideoX 1.5 was trained to animate with this the other way round.
        factor = float(self._vae.config.scaling_factor)
        return latents / factor if self._vae.config.invert_scale_latents else latents * factor


def _overlap_whole(vae: AutoencoderKLCogVideoX, side: str) -> None:
    """Have tiles overlap by whole latent pixels, which those of the released models do.

    Others diffusers lays together wrongly: it rounds the overlap of latents and that of pixels apart.
    """
    tile = max(1, getattr(vae, f"tile_latent_min_{side}"))
    overlap = round(tile * getattr(vae, f"tile_overlap_factor_{side}"))
    setattr(vae, f"tile_latent_min_{side}", tile)
    setattr(vae, f"tile_sample_min_{side}", tile * 2 ** (len(vae.config.block_out_channels) - 1))
    setattr(vae, f"tile_overlap_factor_{side}", Fraction(overlap, tile))
