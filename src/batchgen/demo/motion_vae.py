"""The autoencoder of demo_motion: 9 frames of 48 x 48 pixels to 8 x 3 x 12 x 12 latents and back."""

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import torch
from diffusers import AutoencoderKLCogVideoX
from torch import Tensor

from batchgen.demo.fitting import Fit, Plan, adamw, generator_of
from batchgen.demo.motion_drawings import CANVAS, Move, draw, sample

SPATIAL: Final = 4
"""Pixels along each side of a latent pixel."""

TEMPORAL: Final = 4
"""Frames of a latent frame; the first latent frame is the first frame alone."""

CHANNELS: Final = 8
"""Channels of a latent."""

_KL_WEIGHT: Final = 2e-4
_CROP: Final = 24
_CROPPED_SHARE: Final = 0.9
_INITIAL_LOG_VARIANCE: Final = -6.0


def new_vae(seed: int = 0) -> AutoencoderKLCogVideoX:
    """Return an untrained autoencoder of 0.65 million parameters."""
    # diffusers initialises from torch's global generator, and offers no other way.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        vae = AutoencoderKLCogVideoX(
            down_block_types=("CogVideoXDownBlock3D",) * 3,
            up_block_types=("CogVideoXUpBlock3D",) * 3,
            block_out_channels=(16, 32, 32),
            layers_per_block=1,
            latent_channels=CHANNELS,
            norm_num_groups=2,  # many small groups wash out flat colours
            temporal_compression_ratio=TEMPORAL,
            sample_height=CANVAS,
            sample_width=CANVAS,
        )
    # Start with next to no noise in the latents, or the decoder first learns to ignore them.
    with torch.no_grad():
        vae.encoder.conv_out.conv.weight[CHANNELS:] *= 0.1
        vae.encoder.conv_out.conv.bias[CHANNELS:] = _INITIAL_LOG_VARIANCE
    return vae


def drawn(moves: Sequence[Move]) -> Tensor:
    """Return clips as bytes of shape (count, 3, frames, height, width)."""
    pixels = np.stack([draw(move) for move in moves])
    return torch.from_numpy(pixels).permute(0, 4, 1, 2, 3).contiguous()


def as_input(pixels: Tensor) -> Tensor:
    """Return bytes 0..255 as floats -1..1."""
    return pixels.float() / 127.5 - 1


def _difference(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the reconstruction loss: L1 + L2 + half the L1 of the edges in time, height and width."""
    error = ours - theirs
    edges = torch.stack([error.diff(dim=axis).abs().mean() for axis in (2, 3, 4)]).sum()
    return error.abs().mean() + error.square().mean() + 0.5 * edges


def _batch(name: str, count: int, *, cropped: bool) -> Tensor:
    """Return fresh clips, -1..1; cropped ones at a place with something to see."""
    rng = Random(name)
    pixels = drawn([sample(rng, "any") for _ in range(count)])
    if cropped:
        pixels = torch.stack([_livelier(_crop(clip, rng), _crop(clip, rng)) for clip in pixels])
    return as_input(pixels)


def _crop(clip: Tensor, rng: Random) -> Tensor:
    top, left = (SPATIAL * rng.randrange((CANVAS - _CROP) // SPATIAL + 1) for _ in range(2))
    return clip[..., top : top + _CROP, left : left + _CROP]


def _livelier(one: Tensor, other: Tensor) -> Tensor:
    """Return the crop that varies more: half of all crops show hardly more than background."""
    return max(one, other, key=lambda crop: float(crop.float().std(dim=(1, 2, 3)).sum()))


def train_vae(vae: AutoencoderKLCogVideoX, path: Path, steps: int = 7500) -> AutoencoderKLCogVideoX:
    """Train encoder and decoder, first on crops, and return their average with its `scaling_factor`.

    Args:
        vae: the autoencoder, changed in place.
        path: the checkpoint.
        steps: optimiser steps of 4 crops or 2 clips.
    """
    plan = Plan(steps=steps, average=0.998)
    fit = Fit({"vae": vae}, adamw([(vae.parameters(), 1.5e-3)]), plan, path)

    def loss_of(step: int) -> Tensor:
        cropped = step < _CROPPED_SHARE * steps
        batch = _batch(f"vae-{step}", 4 if cropped else 2, cropped=cropped)
        with torch.autocast("cpu", torch.bfloat16, enabled=cropped):  # a fifth faster, and precise enough to begin
            posterior = vae.encode(batch).latent_dist
            decoded = vae.decode(posterior.sample(generator=generator_of(21, step))).sample
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        kl: Tensor = 0.5 * (mean.square() + logvar.exp() - 1 - logvar).mean()
        return _difference(decoded.float(), batch) + _KL_WEIGHT * kl

    fit.run(loss_of)
    best: AutoencoderKLCogVideoX = fit.best("vae")
    spread = float(encoded(best, drawn([sample(Random(f"spread-{k}"), "any") for k in range(400)])).std())
    best.register_to_config(scaling_factor=round(1 / spread, 5))
    return best


def tune_decoder(vae: AutoencoderKLCogVideoX, path: Path, steps: int) -> AutoencoderKLCogVideoX:
    """Train the decoder alone on slightly noisy latents of whole clips; the latents keep their meaning."""
    vae.encoder.requires_grad_(False)
    plan = Plan(steps=steps, average=0.998)
    fit = Fit({"vae": vae}, adamw([(vae.decoder.parameters(), 1e-3)]), plan, path)

    def loss_of(step: int) -> Tensor:
        batch = _batch(f"decoder-{step}", 2, cropped=False)
        with torch.no_grad():
            latents = vae.encode(batch).latent_dist.mean
        latents = latents + 0.05 * torch.randn(latents.shape, generator=generator_of(22, step))
        decoded: Tensor = vae.decode(latents).sample
        return _difference(decoded, batch)

    fit.run(loss_of)
    best: AutoencoderKLCogVideoX = fit.best("vae")
    return best


@torch.no_grad()
def encoded(vae: AutoencoderKLCogVideoX, pixels: Tensor, batch: int = 16) -> Tensor:
    """Return the latent means of bytes, unscaled, of shape (count, 8, 3, 12, 12)."""
    parts = [vae.encode(as_input(part)).latent_dist.mean for part in torch.split(pixels, batch)]
    return torch.cat(parts)


@torch.no_grad()
def psnr(vae: AutoencoderKLCogVideoX, pixels: Tensor, batch: int = 16) -> float:
    """Return the mean peak signal-to-noise ratio of reconstructions, in decibel."""
    ratios: list[Tensor] = []
    for part in torch.split(pixels, batch):
        original = as_input(part)
        again = vae.decode(vae.encode(original).latent_dist.mean).sample.clamp(-1, 1)
        error = (again - original).square().mean(dim=(1, 2, 3, 4))
        ratios.append(10 * torch.log10(4 / error))
    return float(torch.cat(ratios).mean())
