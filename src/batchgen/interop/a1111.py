"""The `parameters` text that A1111 writes into its pictures and that most other tools read.

    prompt
    Negative prompt: what to stay away from
    Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7.0, Seed: 1, Size: 512x512, ...

It is a courtesy to other tools: what A1111 has a key for stands under that key, and what it has none for under one of
ours, which `a1111_own` reads again. The grammar cannot hold every prompt (one with a line `Negative prompt:` in it,
or with white space at its ends, comes back changed), so batchgen itself reads its record instead.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import fields
from types import MappingProxyType
from typing import Any, Final

from batchgen.interop.passes import Passes, passes, scale_between
from batchgen.job import File, Job, Lora
from batchgen.parts import Noise, Numerics, Start

SAMPLER_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "ddim": "DDIM",
        "deis": "DEIS",
        "dpm_2": "DPM2",
        "dpm_2_ancestral": "DPM2 a",
        "dpm_adaptive": "DPM adaptive",
        "dpm_fast": "DPM fast",
        "dpmpp_2m": "DPM++ 2M",
        "dpmpp_2m_sde": "DPM++ 2M SDE",
        "dpmpp_2m_sde_heun": "DPM++ 2M SDE Heun",
        "dpmpp_2s_ancestral": "DPM++ 2S a",
        "dpmpp_3m_sde": "DPM++ 3M SDE",
        "dpmpp_sde": "DPM++ SDE",
        "euler": "Euler",
        "euler_ancestral": "Euler a",
        "heun": "Heun",
        "heunpp2": "HeunPP2",
        "ipndm": "IPNDM",
        "ipndm_v": "IPNDM_V",
        "lcm": "LCM",
        "lms": "LMS",
        "uni_pc": "UniPC",
    }
)
"""ComfyUI's names of samplers as A1111 writes them; any other stands as it is."""

SCHEDULE_LABELS: Mapping[str, str] = MappingProxyType(
    {
        "beta": "Beta",
        "ddim_uniform": "DDIM",
        "exponential": "Exponential",
        "karras": "Karras",
        "normal": "Normal",
        "sgm_uniform": "SGM Uniform",
        "simple": "Simple",
    }
)
"""ComfyUI's names of schedules as A1111 writes them; any other stands as it is."""

NEGATIVE: Final = "Negative prompt:"
OWN_KEYS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "Precision": "precision",
        "Rounding": "rounding",
        "VAE tiling": "vae_tiling",
        "Noise": "noise",
        "Noise index": "noise_index",
        "Noise rows": "noise_rows",
        "Resize mode": "resize",
        "Resize filter": "resize_filter",
        "Mask grow": "mask_grow",
        "Mask blur": "mask_blur",
        "Masked area padding": "mask_padding",
        "Masked content": "mask_content",
        "Mask paste": "mask_paste",
    }
)
"""Keys of fields that are written where they are not neutral, and read again of our own texts alone."""

_EMPHASIS: Final = {"comfy": "ComfyUI", "a1111": "Original", "none": "None"}
_RNG: Final = {"cpu": "CPU", "cpu_continued": "CPU", "nv": "NV"}
_SHORT: Final = 12
"""Digits of a file's SHA-256, where A1111 has as many."""
_VAE_SHORT: Final = 10


def write(job: Job, *, version: str) -> str:
    """Say `job` in A1111's words: its first pass, with the keys of what came afterwards.

    The key `Model hash` is left out: A1111 means the SHA-256 of a checkpoint's file by it, and batchgen's digest stands
    for all the files in use.

    Args:
        job: What was rendered.
        version: batchgen's version.
    """
    stages = passes(job)
    lines, items = [], [*_enlarged(stages), ("Version", f"batchgen {version}")]
    if first := stages.first:
        lines.append(" ".join(filter(None, [first.text.prompt, *map(_tag, first.loras)])))
        if first.text.negative_prompt:
            lines.append(f"{NEGATIVE} {first.text.negative_prompt}")
        items = [*_sampled(first), *_began(first, stages), *_second_pass(stages), *_settings(first), *items]
    lines.append(", ".join(f"{key}: {_quoted(value)}" for key, value in items if value is not None))
    return "\n".join(lines).strip()


_Items = Iterator[tuple[str, Any]]


def _sampled(job: Job) -> _Items:
    sampling = job.sampling
    yield "Steps", sampling.steps
    yield "Sampler", SAMPLER_LABELS.get(sampling.sampler, sampling.sampler)
    yield "Schedule type", SCHEDULE_LABELS.get(sampling.schedule, sampling.schedule)
    yield "CFG scale", sampling.guidance_scale
    yield "Distilled CFG Scale", sampling.distilled_guidance
    yield "Seed", job.seed
    yield "Size", f"{job.canvas.width}x{job.canvas.height}"
    yield "Model", job.model.name
    if job.vae:
        yield "VAE hash", job.vae.digest[:_VAE_SHORT]
        yield "VAE", job.vae.name
    yield "Clip skip", job.text.clip_skip if job.text.clip_skip > 1 else None


def _began(job: Job, stages: Passes) -> _Items:
    """Yield what is said of a picture to begin with, of which A1111 has no name."""
    if job.init_image is None:
        return
    # A1111 knows one strength; of two it is that of the second pass.
    yield ("Init strength" if stages.second else "Denoising strength"), job.start.strength
    yield "Init image", job.init_image.name if isinstance(job.init_image, File) else None
    if job.start.mask_alpha or job.mask_image is not None:
        mask = job.mask_image.name if isinstance(job.mask_image, File) else None
        yield "Mask image", "alpha" if job.start.mask_alpha else mask
        yield "Inpaint area", "Whole picture" if job.start.mask_padding is None else "Only masked"


def _second_pass(stages: Passes) -> _Items:
    first, second = stages.first, stages.second
    if first is None or second is None:
        return
    yield "Denoising strength", second.start.strength
    yield "Hires upscale", scale_between(first.recipe, second.recipe)
    yield "Hires steps", second.sampling.steps
    yield "Hires upscaler", stages.between.name if stages.between else second.start.resize_filter.capitalize()
    yield "Hires seed", second.seed if second.seed != first.seed else None


def _settings(job: Job) -> _Items:
    yield "RNG", _RNG[job.noise.noise]
    yield "SGM noise multiplier", job.noise.noise_scale == "full"
    yield "Emphasis", _EMPHASIS[job.text.emphasis]
    yield "Lora hashes", _hashes([lora.file for lora in job.loras])
    yield "TI hashes", _hashes(job.embeddings)
    neutral = {each.name: each.default for part in (Numerics, Noise, Start) for each in fields(part)}
    for key, name in OWN_KEYS.items():
        value = job.recipe.get(name, neutral[name])
        if value != neutral[name] and not (name == "noise" and value == "nv"):
            yield key, value


def _enlarged(stages: Passes) -> _Items:
    if stages.enlarged is None:
        return
    before = stages.second or stages.first
    if before:
        yield "Postprocess upscale by", scale_between(before.recipe, stages.enlarged.recipe)
    else:
        yield "Postprocess upscale to", f"{stages.enlarged.canvas.width}x{stages.enlarged.canvas.height}"
    yield "Postprocess upscaler", stages.enlarged.model.name


def _tag(lora: Lora) -> str:
    """Return what A1111 has in prompts: one number for both, or text encoders before denoiser."""
    scales = [lora.scale] if lora.scale == lora.clip_scale else [lora.clip_scale, lora.scale]
    return f"<lora:{':'.join([lora.file.name, *map(_number, scales)])}>"


def _number(value: float) -> str:
    return f"{value:g}" if float(f"{value:g}") == value else repr(value)


def _hashes(files: Any) -> str | None:
    return ", ".join(f"{file.name}: {file.digest[:_SHORT]}" for file in files) or None


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if set(text) & set(',\n:"') else text
