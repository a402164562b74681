"""The autoencoder of demo_shapes: 64 x 64 pixels to 4 x 16 x 16 latents and back."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Final

import numpy as np
import torch
from diffusers import AutoencoderKL
from torch import Tensor

from batchgen.demo.drawings import RGB, Scene, draw, sample
from batchgen.demo.fitting import Fit, Plan, adamw, generator_of

DOWNSAMPLING: Final = 4
"""Pixels along each side of a latent pixel."""

_KL_WEIGHT: Final = 1e-4
_CROP: Final = 32
_CROPPED_SHARE: Final = 0.85
_INITIAL_LOG_VARIANCE: Final = -6.0


def new_vae(seed: int = 0) -> AutoencoderKL:
    """Return an untrained autoencoder of half a million parameters."""
    # diffusers initialises from torch's global generator, and offers no other way.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        vae = AutoencoderKL(
            down_block_types=("DownEncoderBlock2D",) * 3,
            up_block_types=("UpDecoderBlock2D",) * 3,
            block_out_channels=(24, 48, 48),
            layers_per_block=1,
            latent_channels=4,
            norm_num_groups=2,  # many small groups wash out flat colours
            mid_block_add_attention=False,
            sample_size=64,
        )
    # Start with next to no noise in the latents, or the decoder first learns to ignore them.
    with torch.no_grad():
        vae.quant_conv.weight[4:] *= 0.1
        vae.quant_conv.bias[4:] = _INITIAL_LOG_VARIANCE
    vae.to(memory_format=torch.channels_last)
    return vae


def scenes_for_vae(seed: str, count: int) -> Iterator[Scene]:
    """Yield scenes of every combination: of eight, one in outline and one in random colours."""
    rng = Random(seed)
    for number in range(count):
        scene = sample(rng, "any")
        if number % 8 == 5:
            scene = replace(scene, outline=True)
        elif number % 8 == 6:
            scene = _recoloured(scene, rng)
        yield scene


def _recoloured(scene: Scene, rng: Random) -> Scene:
    figures = tuple(replace(figure, rgb=_any_colour(rng)) for figure in scene.figures)
    return replace(scene, figures=figures, background_rgb=_any_colour(rng))


def _any_colour(rng: Random) -> RGB:
    return rng.randrange(256), rng.randrange(256), rng.randrange(256)


def drawn(scenes: Iterator[Scene]) -> Tensor:
    """Return the drawings as bytes of shape (count, 3, 64, 64)."""
    pixels = np.stack([np.asarray(draw(scene)) for scene in scenes])
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def as_input(pixels: Tensor) -> Tensor:
    """Return bytes 0..255 as floats -1..1 in the memory layout convolutions like."""
    return (pixels.float() / 127.5 - 1).contiguous(memory_format=torch.channels_last)


def _difference(ours: Tensor, theirs: Tensor) -> Tensor:
    """Return the reconstruction loss: L1 + L2 + half the L1 of the edges."""
    error = ours - theirs
    edges = error.diff(dim=2).abs().mean() + error.diff(dim=3).abs().mean()
    return error.abs().mean() + error.square().mean() + 0.5 * edges


def _batch(pixels: Tensor, chooser: torch.Generator, *, cropped: bool) -> Tensor:
    """Return 12 random crops or 8 whole pictures, -1..1."""
    rows = torch.randint(len(pixels), (12 if cropped else 8,), generator=chooser)
    picked = pixels[rows]
    if cropped:
        places = (pixels.shape[-1] - _CROP) // DOWNSAMPLING + 1
        top, left = (torch.randint(places, (2,), generator=chooser) * DOWNSAMPLING).tolist()
        picked = picked[..., top : top + _CROP, left : left + _CROP]
    return as_input(picked)


def train_vae(vae: AutoencoderKL, pixels: Tensor, path: Path, steps: int = 8500) -> None:
    """Train encoder and decoder, first on crops; sets `scaling_factor` at the end.

    Args:
        vae: the autoencoder, changed in place.
        pixels: bytes of shape (count, 3, 64, 64).
        path: the checkpoint.
        steps: optimiser steps of 12 crops or 8 pictures.
    """
    fit = Fit({"vae": vae}, adamw([(vae.parameters(), 1.2e-3)]), Plan(steps=steps), path)

    def loss_of(step: int) -> Tensor:
        chooser = generator_of(11, step)
        batch = _batch(pixels, chooser, cropped=step < _CROPPED_SHARE * steps)
        posterior = vae.encode(batch).latent_dist
        decoded = vae.decode(posterior.sample(generator=chooser)).sample
        kl: Tensor = 0.5 * (posterior.mean.square() + posterior.var - 1 - posterior.logvar).mean()
        return _difference(decoded, batch) + _KL_WEIGHT * kl

    fit.run(loss_of)
    spread = float(encoded(vae, pixels[:1000]).std())
    vae.register_to_config(scaling_factor=round(1 / spread, 5))


def tune_decoder(vae: AutoencoderKL, pixels: Tensor, path: Path, steps: int = 2000) -> None:
    """Train the decoder alone on slightly noisy latents; the latents keep their meaning."""
    vae.encoder.requires_grad_(False)
    vae.quant_conv.requires_grad_(False)
    parameters = [*vae.decoder.parameters(), *vae.post_quant_conv.parameters()]
    fit = Fit({"vae": vae}, adamw([(parameters, 1e-3)]), Plan(steps=steps), path)

    def loss_of(step: int) -> Tensor:
        chooser = generator_of(2, step)
        batch = _batch(pixels, chooser, cropped=False)
        with torch.no_grad():
            latents = vae.encode(batch).latent_dist.mean
        latents = latents + 0.05 * torch.randn(latents.shape, generator=chooser)
        decoded: Tensor = vae.decode(latents).sample
        return _difference(decoded, batch)

    fit.run(loss_of)


@torch.no_grad()
def encoded(vae: AutoencoderKL, pixels: Tensor, batch: int = 64) -> Tensor:
    """Return the latent means of bytes, unscaled, of shape (count, 4, 16, 16)."""
    parts = [vae.encode(as_input(part)).latent_dist.mean for part in torch.split(pixels, batch)]
    return torch.cat(parts)


@torch.no_grad()
def psnr(vae: AutoencoderKL, pixels: Tensor, batch: int = 64) -> float:
    """Return the mean peak signal-to-noise ratio of reconstructions, in decibel."""
    ratios: list[Tensor] = []
    for part in torch.split(pixels, batch):
        original = as_input(part)
        again = vae.decode(vae.encode(original).latent_dist.mean).sample.clamp(-1, 1)
        error = (again - original).square().mean(dim=(1, 2, 3))
        ratios.append(10 * torch.log10(4 / error))
    return float(torch.cat(ratios).mean())
