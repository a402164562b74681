"""The parts of a recipe, and the fields in them.

To a person a recipe is flat: `prompt`, `steps`, `sampler`, ... are the *fields* of `FIELDS`, and every manifest,
override and record speaks of those.
"""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

MAX_SEED = 2**64 - 1
"""torch takes seeds up to here; -1 would be this very number, so it is refused instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """What is asked for in words."""

    prompt: Annotated[str, Field(max_length=1_000_000)]
    """Kept literally, whatever characters it has."""

    negative_prompt: Annotated[str, Field(max_length=1_000_000)] = ""
    """What to stay away from. Without guidance (`guidance_scale` 1) it has no effect."""

    emphasis: Literal["comfy", "a1111", "none"] = "comfy"
    """How `(word:1.2)` is read: as ComfyUI does, as A1111 does, or not at all."""

    clip_skip: Annotated[int, Field(ge=1, le=12)] = 1
    """How many of CLIP's last layers are left out, counted as A1111 does: 1 leaves out none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Canvas:
    """How large the picture is."""

    width: Annotated[int, Field(ge=8, le=16384)]
    """Pixels. The model's family says of what number it must be a multiple."""

    height: Annotated[int, Field(ge=8, le=16384)]
    """Pixels. The model's family says of what number it must be a multiple."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Motion:
    """How long a clip is. A picture is one frame."""

    frames: Annotated[int, Field(ge=1, le=1025)] = 1
    """How many; the model's family says which numbers it can do. 1 is a picture."""

    fps: Annotated[float, Field(ge=1, le=120)] = 8.0
    """Frames a second when it is played; some models are told it, too. Without a meaning for a picture."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How noise becomes a latent image."""

    sampler: str
    """The algorithm that takes the steps, by ComfyUI's name: `euler`, `dpmpp_2m`, ..."""

    schedule: str
    """How noise levels are spaced over the steps, by ComfyUI's name: `normal`, `karras`, ..."""

    steps: Annotated[int, Field(ge=1, le=1000)]
    """Denoising steps asked for. The record says how often the denoiser really ran."""

    guidance_scale: Annotated[float, Field(ge=0, le=1000)]
    """Weight w of `uncond + w * (cond - uncond)`, arXiv:2207.12598; 1.0 is no guidance."""

    distilled_guidance: Annotated[float, Field(ge=0, le=1000)] | None = None
    """FLUX.1-dev: a number that is fed to the model. It is no second pass, and not `guidance_scale`."""

    dynamic_guidance: bool = False
    """CogVideoX: guidance that changes from step to step, as diffusers computes it (`use_dynamic_cfg`)."""

    shift: Annotated[float, Field(gt=0, le=100)] | None = None
    """Flow matching: how far noise levels are pushed up, ComfyUI's ModelSamplingSD3; None: as the checkpoint has it."""


def _switch(value: object) -> object:
    """Return what a person wrote: to YAML, `on` and `off` are true and false."""
    return {True: "on", False: "off"}[value] if isinstance(value, bool) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """Choices of arithmetic that change pixels and that a person makes."""

    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """As asked for: `auto` is hashed as `auto`, and the record says what it became."""

    rounding: Literal["round", "truncate"] = "round"
    """How 0..1 becomes 0..255. ComfyUI truncates; diffusers and batchgen round."""

    vae_tiling: Annotated[Literal["off", "on_oom", "on"], BeforeValidator(_switch)] = "off"
    """Whether the autoencoder decodes in overlapping tiles: never, where the whole does not fit into memory, always.
    Tiles need less memory, and change pixels a little; the record says where they were used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """How a job begins with a picture. None of it has a meaning without `init_image`."""

    strength: Annotated[float, Field(gt=0, le=1)] = 1.0
    """How far back to noise, as ComfyUI's `denoise`: `steps` steps are taken, the last ones of steps/strength."""

    resize: Literal["crop", "stretch", "pad"] = "crop"
    """How a picture of another size is brought to the canvas: cut to its proportions, distorted, or edged with grey."""

    resize_filter: Literal["nearest", "bilinear", "bicubic", "lanczos"] = "lanczos"
    """How pixels are interpolated then."""

    mask_alpha: bool = False
    """The mask is where the picture itself is transparent."""

    mask_grow: Annotated[int, Field(ge=0, le=512)] = 0
    """Pixels by which the mask is extended to all sides."""

    mask_blur: Annotated[int, Field(ge=0, le=512)] = 0
    """Radius in pixels over which what is painted fades into the picture."""

    mask_padding: Annotated[int, Field(ge=0, le=4096)] | None = None
    """Render only the mask's surroundings, this many pixels to each side, at the canvas's size; None renders it all."""

    mask_paste: bool = True
    """Whether the picture stays what it was outside of the mask, to the byte; else it is as the autoencoder has it."""

    mask_content: Literal["original", "neutral"] = "original"
    """What the masked part is when the denoiser begins: the picture, or grey (as ComfyUI's VAEEncodeForInpaint)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Noise:
    """Where the noise of a seed comes from."""

    noise: Literal["cpu", "cpu_continued", "nv"] = "cpu"
    """torch's generator on the CPU, as ComfyUI and diffusers have it; the same, but steps that draw noise go on with
    it, as A1111 does there; or what a CUDA device draws, as A1111 does otherwise (Philox, Salmon et al., SC 2011),
    computed on the CPU."""

    noise_scale: Literal["full", "sigma"] = "full"
    """What noise alone is multiplied by at the highest level: sqrt(1 + sigma^2), as ComfyUI and diffusers have it, or
    sigma, as A1111 does unless it is told `SGM noise multiplier`."""

    noise_index: Annotated[int, Field(ge=0, le=4095)] = 0
    """Which row of the noise of a seed: the picture's place in a batch of ComfyUI, which has one seed for all."""

    noise_rows: Annotated[int, Field(ge=1, le=4096)] = 1
    """How many rows that batch had, where it went on after this one. Only samplers that draw noise in their steps make
    a difference of it: each draws for the whole batch."""


UNSAMPLED = Sampling(sampler="none", schedule="none", steps=0, guidance_scale=0.0)
"""Of jobs that denoise nothing: their model only makes a picture larger."""

PARTS: Mapping[str, type[Any]] = MappingProxyType(
    {
        "text": Text,
        "canvas": Canvas,
        "sampling": Sampling,
        "numerics": Numerics,
        "start": Start,
        "noise": Noise,
        "motion": Motion,
    }
)
"""The nested parts of a job by the name of its attribute."""

NEUTRAL: Mapping[type[Any], tuple[tuple[str, Any], ...]] = MappingProxyType(
    {part: tuple((each.name, each.default) for each in fields(part)) for part in PARTS.values()}
)
"""The fields of each part, with the value at which they are left out of recipes."""


def _annotations() -> dict[str, Any]:
    found: dict[str, Any] = {"seed": Annotated[int, Field(ge=0, le=MAX_SEED)]}
    for part in PARTS.values():
        found |= get_type_hints(part, include_extras=True)
    return found


FIELDS: Mapping[str, Any] = MappingProxyType(_annotations())
"""Every recipe field a person may set, but `model`, with its annotated type."""

_ADAPTERS: Mapping[str, TypeAdapter[Any]] = MappingProxyType(
    {name: TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False)) for name, kind in FIELDS.items()}
)


def check_field(name: str, value: object) -> Any:
    """Return `value` as the field `name` holds it: 7 becomes 7.0 where a float is meant.

    Raises:
        ValueError: in words for a person, such as `steps: must be at least 1, not 0`.
        KeyError: there is no such field.
    """
    try:
        return _ADAPTERS[name].validate_python(value)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"].replace("Input should be ", "must be ")
        message = f"{name}: {reason}, not {value!r}"
        raise ValueError(message) from error
