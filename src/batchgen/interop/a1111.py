"""The `parameters` text that A1111 writes into its pictures and that most other tools read.

    prompt
    Negative prompt: what to stay away from
    Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7.0, Seed: 1, Size: 512x512, ...

It is a courtesy to other tools. The grammar cannot hold every prompt (one with a line `Negative prompt:` of its own, or
with white space at its ends, comes back changed), so batchgen itself reads its record instead.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from batchgen.job import Job

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

_NEGATIVE = "Negative prompt:"
_ITEM = re.compile(r'\s*(\w[\w \-/]+):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_EMPHASIS = {"comfy": "ComfyUI", "a1111": "Original", "none": "None"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Infotext:
    """What a `parameters` text says."""

    prompt: str
    negative_prompt: str
    fields: Mapping[str, str]
    """By A1111's keys: `Steps`, `Sampler`, `Seed`, ..."""


def write(job: Job, *, version: str) -> str:
    """Say `job` in A1111's words.

    The key `Model hash` is left out: A1111 means the SHA-256 of a checkpoint's file by it, and batchgen's digest stands
    for all the files in use.

    Args:
        job: What was rendered.
        version: batchgen's version.
    """
    text = job.text.prompt
    if job.text.negative_prompt:
        text += f"\n{_NEGATIVE} {job.text.negative_prompt}"
    items = ", ".join(f"{key}: {_quoted(value)}" for key, value in _items(job, version).items() if value is not None)
    return f"{text}\n{items}".strip()


def _items(job: Job, version: str) -> Mapping[str, object]:
    sampling, text = job.sampling, job.text
    return {
        "Steps": sampling.steps,
        "Sampler": SAMPLER_LABELS.get(sampling.sampler, sampling.sampler),
        "Schedule type": SCHEDULE_LABELS.get(sampling.schedule, sampling.schedule),
        "CFG scale": sampling.guidance_scale,
        "Distilled CFG Scale": sampling.distilled_guidance,
        "Seed": job.seed,
        "Size": f"{job.canvas.width}x{job.canvas.height}",
        "Model": job.model.name,
        "Clip skip": text.clip_skip if text.clip_skip > 1 else None,
        "RNG": "CPU",
        "Emphasis": _EMPHASIS[text.emphasis],
        "Version": f"batchgen {version}",
    }


def _quoted(value: object) -> str:
    text = str(value)
    return json.dumps(text, ensure_ascii=False) if set(text) & set(',\n:"') else text


def read(text: str) -> Infotext:
    """Read a `parameters` text; one without a line of parameters is all prompt."""
    *lines, last = text.strip().split("\n")
    found = _ITEM.findall(last)
    if len(found) < 3:
        lines, found = [*lines, last], []
    at = next((number for number, line in enumerate(lines) if line.strip().startswith(_NEGATIVE)), len(lines))
    negative = "\n".join(lines[at:]).strip().removeprefix(_NEGATIVE).strip()
    fields = {key: _unquoted(value) for key, value in found}
    return Infotext(prompt="\n".join(lines[:at]).strip(), negative_prompt=negative, fields=MappingProxyType(fields))


def _unquoted(value: str) -> str:
    if not value.startswith('"'):
        return value.strip()
    try:
        return str(json.loads(value))
    except ValueError:
        return value
