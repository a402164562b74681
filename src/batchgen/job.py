"""A job: the full recipe of one picture.

Two jobs with the same `id` ask for the same picture, so a run can be resumed, moved or shared without rendering
anything twice. What may change between machines (device, resolved dtype, batch size, library versions) is not in the
recipe; the record of the picture keeps it.

To a person a recipe is flat: `prompt`, `steps`, `sampler`, ... are the *fields* of `FIELDS`, and every manifest,
override and record speaks of those. Inside, they stand in nested parts, because what shares a part shares work: jobs
of equal `Text` are encoded once, jobs of equal `Sampling` and `Canvas` go through the denoiser together.
"""

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Final, Literal, get_type_hints

from pydantic import BeforeValidator, ConfigDict, Field, TypeAdapter, ValidationError

UPSCALER: Final = "upscaler"
"""The family of models that make pictures larger, and denoise nothing."""

MAX_SEED = 2**64 - 1
"""torch takes seeds up to here; -1 would be this very number, so it is refused instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """Weights with everything that belongs to them: what a session loads."""

    digest: str
    """SHA-256 over every file in use: weights, configurations, tokenizer, scheduler. This alone is in the id."""

    family: str = field(compare=False)
    """What can be done with it, and how: a key of `models.families.FAMILIES` such as `sd15`, `sdxl`, `flux`."""

    name: str = field(compare=False)
    """What the person calls it: the name of an option in conf/model/, or of a file."""

    path: str = field(compare=False)
    """Where it is on this machine: a diffusers folder or a single `.safetensors` file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class File:
    """A file that a job uses beside its model: an adapter, an autoencoder, an embedding, a picture."""

    digest: str
    """SHA-256 of what is in it. This alone is in the id."""

    name: str = field(default="", compare=False)
    """What the person calls it."""

    path: str = field(default="", compare=False)
    """Where it is on this machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lora:
    """A low-rank adapter (arXiv:2106.09685) at work; laid beside the weights, never into them."""

    file: File
    scale: float = 1.0
    """How much of it the denoiser gets; 0 is nothing, negative values take away."""
    clip_scale: float = 1.0
    """How much of it the text encoders get."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """What another job makes, where this one begins."""

    job: "Job"
    frame: int | None = None
    """Which frame of its clip, from 1; None: all of it, a picture or, for an upscaler, a clip."""
    path: str = field(default="", compare=False)
    """Its picture, or its clip's frames as PNG files in a ZIP, once it is made."""

    @property
    def motion(self) -> "Motion":
        """How long what is taken of it is."""
        return self.job.motion if self.frame is None and self.job.clip else _MOTION


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


_START, _NOISE, _MOTION = Start(), Noise(), Motion()

UNSAMPLED = Sampling(sampler="none", schedule="none", steps=0, guidance_scale=0.0)
"""Of jobs that denoise nothing: their model only makes a picture larger."""


def recipe_id(recipe: Mapping[str, Any]) -> str:
    """SHA-256 of the canonical form: the recipe as JSON with sorted keys, 64 hex digits."""
    canonical = json.dumps(dict(recipe), sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True, kw_only=True)
class Job:
    """One picture to make, every field resolved. Equal jobs are the same picture."""

    model: Model
    text: Text
    canvas: Canvas
    sampling: Sampling
    seed: int
    numerics: Numerics = Numerics()
    start: Start = _START
    noise: Noise = _NOISE
    motion: Motion = _MOTION
    init_image: File | Stage | None = None
    """The picture to begin with, instead of noise alone."""
    mask_image: File | Stage | None = None
    """White where the picture is to be painted anew, black where it stays."""
    loras: tuple[Lora, ...] = ()
    """In the order in which they are laid beside the weights."""
    vae: File | None = None
    """An autoencoder in place of the model's own."""
    embeddings: tuple[File, ...] = ()
    """Textual inversions (arXiv:2208.01618) that the prompts name, sorted by name."""

    @cached_property
    def recipe(self) -> Mapping[str, Any]:
        """The fields by name, weights and pictures by digest, fields at their neutral value left out.

        Leaving them out is what lets a later version add a field without changing any id. What another job makes stands
        there as that job's recipe, so that a recipe needs nothing beside itself but the files it names.
        """
        found: dict[str, Any] = {"model": self.model.digest, "seed": self.seed}
        denoising = () if self.unsampled else (self.text, self.sampling)
        beginning = () if self.start == _START else (self.start,)
        drawing = () if self.noise == _NOISE else (self.noise,)
        moving = () if self.motion.frames == 1 else (self.motion,)
        for part in (*denoising, self.canvas, self.numerics, *beginning, *drawing, *moving):
            for name, neutral in _NEUTRAL[type(part)]:
                value = getattr(part, name)
                if value != neutral:
                    found[name] = value
        for name in THINGS:
            if thing := getattr(self, name):
                found[name] = _plain(thing)
        return MappingProxyType(found)

    @property
    def unsampled(self) -> bool:
        """Whether nothing is denoised: the model only makes `init_image` larger."""
        return self.sampling.sampler == UNSAMPLED.sampler

    @property
    def clip(self) -> bool:
        """Whether it is more than one picture."""
        return self.motion.frames > 1

    @property
    def stages(self) -> tuple["Job", ...]:
        """The jobs whose pictures this one needs."""
        if self.init_image is None:
            return ()
        return tuple(each.job for each in (self.init_image, self.mask_image) if isinstance(each, Stage))

    @property
    def first(self) -> "Job":
        """The job with which it all began: itself, if it begins with noise or with a file."""
        return self.init_image.job.first if isinstance(self.init_image, Stage) else self

    @property
    def denoised(self) -> "Job":
        """The job that was denoised last: the one before, where a picture is only made larger."""
        return self.init_image.job.denoised if self.unsampled and isinstance(self.init_image, Stage) else self

    @property
    def files(self) -> tuple[File, ...]:
        """Every file it uses beside its model, those of its stages not among them."""
        sources = (self.init_image, self.mask_image, self.vae)
        found = (*sources, *(each.file for each in self.loras), *self.embeddings)
        return tuple(each for each in found if isinstance(each, File))

    @cached_property
    def id(self) -> str:
        """Names the picture: 64 hex digits."""
        return recipe_id(self.recipe)

    @property
    def batch_key(self) -> Hashable:
        """Jobs with equal keys may go through the denoiser in one forward pass."""
        begins = (self.init_image is None, self.mask_image is None)
        shared = (self.model, self.loras, self.vae, self.embeddings)
        # Noise of one source is added by one piece of code: what a neighbour asks for must not move a bit.
        noise = (self.noise.noise, self.noise.noise_scale, self.noise.noise_index == 0, self.noise.noise_rows == 1)
        return (*shared, self.canvas, self.motion, self.sampling, self.numerics, self.start, *noise, *begins)


THINGS: Final = ("init_image", "mask_image", "loras", "vae", "embeddings")
"""The fields that name files."""


def _plain(thing: Any) -> Any:
    """Return what stands for files in a recipe: JSON values without a name or path."""
    match thing:
        case File(digest=digest):
            return {"sha256": digest}
        case Lora(file=File(digest=digest), scale=scale, clip_scale=clip_scale):
            return {"sha256": digest, "scale": scale, "clip_scale": clip_scale}
        case Stage(job=job, frame=frame):
            return {"recipe": dict(job.recipe)} | ({} if frame is None else {"frame": frame})
        case tuple():
            return [_plain(each) for each in thing]
        case _:
            return None


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

_NEUTRAL: Mapping[type[Any], tuple[tuple[str, Any], ...]] = MappingProxyType(
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


def make_job(model: Model, values: Mapping[str, Any]) -> Job:
    """Put checked field values into their parts.

    Raises:
        TypeError: a field without a neutral value is not among `values`, or a name is no field.
    """
    unknown = values.keys() - FIELDS.keys() - {*THINGS}
    if unknown:
        message = f"not fields of a recipe: {', '.join(sorted(unknown))}"
        raise TypeError(message)
    parts = {
        name: part(**{each.name: values[each.name] for each in fields(part) if each.name in values})
        for name, part in PARTS.items()
        if model.family != UPSCALER or name not in ("text", "sampling")
    }
    if model.family == UPSCALER:
        parts |= {"text": Text(prompt=""), "sampling": UNSAMPLED}
    return Job(model=model, seed=values["seed"], **parts, **{name: values[name] for name in THINGS if name in values})
