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
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_type_hints

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Numerics:
    """Choices of arithmetic that change pixels and that a person makes."""

    precision: Literal["auto", "fp32", "fp16", "bf16"] = "auto"
    """As asked for: `auto` is hashed as `auto`, and the record says what it became."""

    rounding: Literal["round", "truncate"] = "round"
    """How 0..1 becomes 0..255. ComfyUI truncates; diffusers and batchgen round."""


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

    @cached_property
    def recipe(self) -> Mapping[str, Any]:
        """The fields by name, the model by digest, fields at their neutral value left out.

        Leaving them out is what lets a later version add a field without changing any id.
        """
        found: dict[str, Any] = {"model": self.model.digest, "seed": self.seed}
        for part in (self.text, self.canvas, self.sampling, self.numerics):
            for each in fields(part):
                value = getattr(part, each.name)
                if value != each.default:
                    found[each.name] = value
        return MappingProxyType(found)

    @cached_property
    def id(self) -> str:
        """Names the picture: 64 hex digits."""
        return recipe_id(self.recipe)

    @property
    def batch_key(self) -> tuple[Model, Canvas, Sampling, Numerics]:
        """Jobs with equal keys may go through the denoiser in one forward pass."""
        return (self.model, self.canvas, self.sampling, self.numerics)


PARTS: Mapping[str, type[Any]] = MappingProxyType(
    {"text": Text, "canvas": Canvas, "sampling": Sampling, "numerics": Numerics}
)
"""The nested parts of a job by the name of its attribute."""


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
    unknown = values.keys() - FIELDS.keys()
    if unknown:
        message = f"not fields of a recipe: {', '.join(sorted(unknown))}"
        raise TypeError(message)
    parts = {
        name: part(**{each.name: values[each.name] for each in fields(part) if each.name in values})
        for name, part in PARTS.items()
    }
    return Job(model=model, seed=values["seed"], **parts)
