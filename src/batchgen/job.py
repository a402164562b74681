"""A job: the full recipe of one picture.

Two jobs with the same `id` ask for the same picture, so a run can be resumed, moved or shared without rendering
anything twice. What may change between machines (device, resolved dtype, batch size, library versions) is not in the
recipe; the record of the picture keeps it.

Its fields stand in nested parts, because what shares a part shares work: jobs of equal `Text` are encoded once, jobs of
equal `Sampling` and `Canvas` go through the denoiser together.
"""

import hashlib
import json
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Any, Final

from batchgen.parts import FIELDS, NEUTRAL, PARTS, UNSAMPLED, Canvas, Motion, Noise, Numerics, Sampling, Start, Text

UPSCALER: Final = "upscaler"
"""The family of models that make pictures larger, and denoise nothing."""


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


_NUMERICS, _START, _NOISE, _MOTION = Numerics(), Start(), Noise(), Motion()


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
    numerics: Numerics = _NUMERICS
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
            for name, neutral in NEUTRAL[type(part)]:
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
