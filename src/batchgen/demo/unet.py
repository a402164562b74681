"""The denoiser of demo_shapes: a 2.9 million parameter UNet that predicts v (arXiv:2202.00512)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import torch
from diffusers import UNet2DConditionModel
from torch import Tensor
from transformers import CLIPTextModel, CLIPTokenizer

from batchgen.demo.captions import caption
from batchgen.demo.drawings import Scene
from batchgen.demo.fitting import Fit, Plan, adamw, generator_of
from batchgen.demo.text_encoder import token_ids
from batchgen.demo.tokenizer import LENGTH

NOISE_LEVELS: Final = 1000
"""Timesteps of the training schedule."""

BETAS: Final = (0.00085, 0.012)
"""First and last beta; their square roots are evenly spaced ("scaled_linear"), as in Stable Diffusion."""

_SHORT: Final = 24
"""Tokens of a caption in the first part of training: a third of the time of a step less than 77."""

_SHORT_SHARE: Final = 0.7
"""Share of the training with short captions. The text model is causal, so their states are the same."""

_UNPROMPTED: Final = 0.1
"""Share of captions replaced by "", for classifier-free guidance (arXiv:2207.12598)."""


def new_unet(seed: int = 0) -> UNet2DConditionModel:
    """Return an untrained UNet over 4 x 16 x 16 latents."""
    # diffusers initialises from torch's global generator, and offers no other way.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        return UNet2DConditionModel(
            sample_size=16,
            block_out_channels=(48, 64, 96),
            layers_per_block=1,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            cross_attention_dim=64,
            attention_head_dim=4,
            norm_num_groups=8,
        )


def signal_shares() -> Tensor:
    """Return alpha-bar of each noise level, arXiv:2006.11239: how much signal is left, of variance 1."""
    roots = torch.linspace(BETAS[0] ** 0.5, BETAS[1] ** 0.5, NOISE_LEVELS, dtype=torch.float64)
    return (1 - roots.square()).cumprod(0).float()


def noise_levels(count: int, generator: torch.Generator) -> Tensor:
    """Return timesteps: half of them uniform, half where shapes are decided, a little above the middle."""
    uniform = torch.rand(count, generator=generator)
    middle = torch.sigmoid(0.2 + 0.7 * torch.randn(count, generator=generator))
    chosen = torch.where(torch.arange(count) % 2 == 0, uniform, middle)
    return (chosen * NOISE_LEVELS).long().clamp(max=NOISE_LEVELS - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What the UNet learns from."""

    latents: Tensor
    """Scaled latents of shape (count, 4, 16, 16)."""

    scenes: Sequence[Scene]
    """The scene of each latent."""

    def batch(self, step: int, size: int, seed: int) -> tuple[Tensor, list[str]]:
        """Return latents and freshly worded captions."""
        rng = Random(f"unet-{seed}-{step}")
        rows = rng.sample(range(len(self.scenes)), size)
        texts = ["" if rng.random() < _UNPROMPTED else caption(self.scenes[row], rng) for row in rows]
        return self.latents[rows], texts


def train_unet(
    fit: Fit, tokenizer: CLIPTokenizer, lessons: Lessons, saved: Callable[[int], None] | None = None
) -> None:
    """Teach the UNet to predict v, and the text model with it.

    Args:
        fit: the training from `unet_fit`.
        tokenizer: what reads the captions.
        lessons: latents and scenes.
        saved: called with the step after each checkpoint.
    """
    unet, text_encoder = fit.modules["unet"], fit.modules["text_encoder"]
    shares = signal_shares()

    def loss_of(step: int) -> Tensor:
        generator = generator_of(4, step)
        clean, texts = lessons.batch(step, 32, seed=0)
        length = _SHORT if step < _SHORT_SHARE * fit.plan.steps else LENGTH
        states = text_encoder(token_ids(tokenizer, texts, length)).last_hidden_state
        levels = noise_levels(len(clean), generator)
        noise = torch.randn(clean.shape, generator=generator)
        signal = shares[levels].sqrt()[:, None, None, None]
        spread = (1 - shares[levels]).sqrt()[:, None, None, None]
        answer: Tensor = unet(signal * clean + spread * noise, levels, states, return_dict=False)[0]
        return (answer - (signal * noise - spread * clean)).square().mean()

    fit.run(loss_of, saved)


def unet_fit(unet: UNet2DConditionModel, text_encoder: CLIPTextModel, path: Path, steps: int) -> Fit:
    """Return the training of both models: resumed from `path`, or new."""
    groups = [(unet.parameters(), 1e-3), (text_encoder.parameters(), 3e-4)]
    plan = Plan(steps=steps, warmup=100, average=0.998)
    return Fit({"unet": unet, "text_encoder": text_encoder}, adamw(groups), plan, path)
