"""The denoiser of demo_motion: a 4.6 million parameter CogVideoX transformer that predicts v (arXiv:2202.00512)."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

import torch
from diffusers import CogVideoXDDIMScheduler, CogVideoXTransformer3DModel
from torch import Tensor, nn
from transformers import T5EncoderModel, T5Tokenizer

from batchgen.demo.fitting import Fit, Plan, adamw, generator_of
from batchgen.demo.motion_captions import caption
from batchgen.demo.motion_drawings import CANVAS, FRAMES, Move
from batchgen.demo.motion_text import LENGTH, WIDTH
from batchgen.demo.motion_vae import CHANNELS, SPATIAL, TEMPORAL
from batchgen.demo.text_encoder import token_ids
from batchgen.demo.unet import BETAS, NOISE_LEVELS, noise_levels

_UNPROMPTED: Final = 0.1
"""Share of captions replaced by "", for classifier-free guidance (arXiv:2207.12598)."""

_BATCH: Final = 16


def new_transformer(seed: int = 0) -> CogVideoXTransformer3DModel:
    """Return an untrained transformer over 3 x 8 x 12 x 12 latents."""
    # diffusers initialises from torch's global generator, and offers no other way.
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        transformer = CogVideoXTransformer3DModel(
            num_attention_heads=3,
            attention_head_dim=64,
            in_channels=CHANNELS,
            out_channels=CHANNELS,
            time_embed_dim=128,
            text_embed_dim=WIDTH,
            num_layers=6,
            sample_width=CANVAS // SPATIAL,
            sample_height=CANVAS // SPATIAL,
            sample_frames=FRAMES,
            patch_size=2,
            temporal_compression_ratio=TEMPORAL,
            max_text_seq_length=LENGTH,
            spatial_interpolation_scale=1.0,
        )
    # Each block begins as the identity (adaLN-Zero, arXiv:2212.09748).
    blocks = [norm.linear for block in transformer.transformer_blocks for norm in (block.norm1, block.norm2)]
    for layer in (*blocks, transformer.norm_out.linear, transformer.proj_out):
        nn.init.zeros_(layer.weight)
        nn.init.zeros_(layer.bias)
    return transformer


def scheduler() -> CogVideoXDDIMScheduler:
    """Return the sampler the folder names, with the training's noise schedule: its last level is noise alone."""
    return CogVideoXDDIMScheduler(
        num_train_timesteps=NOISE_LEVELS,
        beta_start=BETAS[0],
        beta_end=BETAS[1],
        beta_schedule="scaled_linear",
        prediction_type="v_prediction",
        timestep_spacing="trailing",
        rescale_betas_zero_snr=True,
        snr_shift_scale=1.0,
        clip_sample=False,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Lessons:
    """What the transformer learns from."""

    latents: Tensor
    """Scaled latents of shape (count, frames, channels, height, width)."""

    moves: Sequence[Move]
    """The move of each latent."""

    def batch(self, step: int, size: int) -> tuple[Tensor, list[str]]:
        """Return latents and freshly worded captions."""
        rng = Random(f"transformer-{step}")
        rows = rng.sample(range(len(self.moves)), size)
        texts = ["" if rng.random() < _UNPROMPTED else caption(self.moves[row], rng) for row in rows]
        return self.latents[rows], texts


def transformer_fit(
    transformer: CogVideoXTransformer3DModel, text_encoder: T5EncoderModel, path: Path, steps: int
) -> Fit:
    """Return the training of both models: resumed from `path`, or new."""
    groups = [(transformer.parameters(), 1e-3), (text_encoder.parameters(), 3e-4)]
    plan = Plan(steps=steps, warmup=200, average=0.998)
    return Fit({"transformer": transformer, "text_encoder": text_encoder}, adamw(groups), plan, path)


def train_transformer(
    fit: Fit, tokenizer: T5Tokenizer, lessons: Lessons, saved: Callable[[int], None] | None = None
) -> None:
    """Teach the transformer to predict v, and the text model with it.

    Args:
        fit: the training from `transformer_fit`.
        tokenizer: what reads the captions.
        lessons: latents and moves.
        saved: called with the step after each checkpoint.
    """
    transformer, text_encoder = fit.modules["transformer"], fit.modules["text_encoder"]
    shares = scheduler().alphas_cumprod.float()

    def loss_of(step: int) -> Tensor:
        generator = generator_of(24, step)
        clean, texts = lessons.batch(step, _BATCH)
        levels = noise_levels(len(clean), generator)
        noise = torch.randn(clean.shape, generator=generator)
        signal = shares[levels].sqrt()[:, None, None, None, None]
        spread = (1 - shares[levels]).sqrt()[:, None, None, None, None]
        noisy = signal * clean + spread * noise
        with torch.autocast("cpu", torch.bfloat16):  # nearly twice as fast where the processor has it
            states = text_encoder(token_ids(tokenizer, texts, LENGTH)).last_hidden_state
            answer: Tensor = transformer(noisy, states, levels, return_dict=False)[0]
        error: Tensor = answer.float() - (signal * noise - spread * clean)
        return error.square().mean()

    fit.run(loss_of, saved)
