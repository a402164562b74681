"""How much memory a clip takes: weights, by where `runtime.memory` has them, and an estimate of what is computed.

What is computed is judged by the largest tensors: a dozen of a token's width at once in a block of the denoiser, and a
dozen of the widest full-size layer in the autoencoder. That is about right, and no promise.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any, Literal, NamedTuple

from batchgen.engine import Runtime
from batchgen.job import Job, Model
from batchgen.models.clips import grain
from batchgen.models.families import FAMILIES
from batchgen.models.folder import component_weights, read_json
from batchgen.models.header import read_header
from batchgen.models.precision import BYTES, held_in

_AT_ONCE = 12
"""Tensors of the largest kind that are alive together."""

Memory = Literal["full", "encode_first", "offload", "sequential"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClipMemory:
    """One kind of clip that a plan has."""

    frames: int
    width: int
    height: int
    latent: tuple[int, int, int]
    """Frames, height and width."""
    channels: int
    bytes: Mapping[Memory, int]
    """Expected at most, by `runtime.memory`."""

    def __str__(self) -> str:
        latent = "x".join(map(str, self.latent))
        return (
            f"a clip of {self.frames} frames of {self.width}x{self.height} (latent {latent}, {self.channels} channels)"
        )


def clips(jobs: Iterable[Job], runtime: Runtime, device: str) -> list[ClipMemory]:
    """Return what is expected of each kind of clip among `jobs`, of models whose configurations are here.

    Raises:
        ModelError: a file of a model is damaged.
    """
    kinds: dict[Any, Job] = {}
    for job in jobs:
        if job.clip:
            kinds.setdefault((job.model, job.canvas, job.motion, job.numerics, job.sampling.guidance_scale == 1), job)
    found = (_of(job, runtime, device) for job in kinds.values())
    return [each for each in found if each is not None]


def _of(job: Job, runtime: Runtime, device: str) -> ClipMemory | None:
    seen = grain(job.model)
    if seen is None:
        return None
    number = BYTES[held_in(job.numerics.precision, runtime.precision, job.model.family, device)]
    weights = {name: number * count for name, count in _weights(job.model).items()}
    decoding = BYTES["fp32"] if job.model.family == "wan" else number
    weights["vae"] = weights["vae"] // number * decoding
    rows = 1 if job.sampling.guidance_scale == 1 else 2
    width = _width(read_json(Path(job.model.path) / "transformer" / "config.json"))
    thinking = _AT_ONCE * rows * seen.tokens(job.canvas, job.motion) * width * number
    drawing = _AT_ONCE * _widest(job) * decoding
    return ClipMemory(
        frames=job.motion.frames,
        width=job.canvas.width,
        height=job.canvas.height,
        latent=seen.latent(job.canvas, job.motion),
        channels=seen.channels,
        bytes=_by_memory(weights, thinking, drawing),
    )


def _by_memory(weights: Mapping[str, int], thinking: int, drawing: int) -> dict[Memory, int]:
    text, denoiser, vae = weights["text_encoder"], weights["transformer"], weights["vae"]
    most = max(thinking, drawing)
    return {
        "full": text + denoiser + vae + most,
        "encode_first": denoiser + vae + max(text, most),
        "offload": max(text, denoiser + thinking, vae + drawing),
        "sequential": vae + most,
    }


def _weights(model: Model) -> dict[str, int]:
    """Return how many numbers each component has."""
    found = {}
    for name in FAMILIES[model.family].modules:
        headers = [
            read_header(file) for file in component_weights(Path(model.path) / name)[1] if file.suffix != ".json"
        ]
        found[name] = sum(prod(tensor.shape) for header in headers for tensor in header.tensors.values())
    return found


def _width(denoiser: Mapping[str, Any]) -> int:
    return int(denoiser["num_attention_heads"] * denoiser["attention_head_dim"])


def _widest(job: Job) -> int:
    """Return how many numbers the largest tensor of the decoder has: a stretch of frames at full size, or of a tile."""
    vae = read_json(Path(job.model.path) / "vae" / "config.json")
    read = {"wan": _wan, "ltx": _ltx}.get(job.model.family, _cogvideox)
    layer = read(vae, job.motion.frames)
    sides = [job.canvas.height, job.canvas.width]
    if job.numerics.vae_tiling != "off":
        sides = [min(side, tile) for side, tile in zip(sides, layer.tile, strict=True)]
    return layer.channels * layer.frames * prod(side // layer.patch for side in sides)


class _Layer(NamedTuple):
    """The widest layer at full size."""

    frames: int
    """At a time."""
    channels: int
    tile: tuple[int, int]
    """Height and width in pixels, as diffusers decodes."""
    patch: int = 1
    """Pixels along a side of what it makes."""


def _cogvideox(vae: Mapping[str, Any], frames: int) -> _Layer:
    # Two latent frames at a time, first three.
    tile = (vae["sample_height"] // 2, vae["sample_width"] // 2)
    return _Layer(frames=min(9, frames), channels=vae["block_out_channels"][1], tile=tile)


def _wan(vae: Mapping[str, Any], frames: int) -> _Layer:
    width = vae.get("decoder_base_dim") or vae.get("base_dim", 96)
    return _Layer(frames=min(4, frames), channels=2 * width, tile=(256, 256), patch=vae.get("patch_size") or 1)


def _ltx(vae: Mapping[str, Any], frames: int) -> _Layer:
    return _Layer(frames=frames, channels=vae["block_out_channels"][0], tile=(512, 512), patch=vae["patch_size"])
