"""Recipes read back: JSON values and the files they name become a job again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from math import isfinite
from typing import Any

from batchgen.job import THINGS, File, Job, Lora, Model, Stage, make_job
from batchgen.parts import Motion, check_field


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """What the digests of a recipe stand for on this machine, by digest."""

    models: Mapping[str, Model]
    files: Mapping[str, File]
    pictures: Mapping[str, str] = field(default_factory=dict)
    """Paths of what stages have made, by the id of the stage's job, as far as they are there."""

    def model(self, digest: str) -> Model:
        """Return the model of a digest; ValueError: it was not found."""
        if digest not in self.models:
            message = f"no model with the digest {digest} was found"
            raise ValueError(message)
        return self.models[digest]

    def file(self, digest: str) -> File:
        """Return the file of a digest; ValueError: it was not found."""
        if digest not in self.files:
            message = f"no file with the SHA-256 {digest} was found"
            raise ValueError(message)
        return self.files[digest]


def read_recipe(recipe: Mapping[str, Any], found: Found) -> Job:
    """Return the job of a recipe, which may be anybody's.

    Args:
        recipe: JSON values, as `Job.recipe` holds them.
        found: Every model and file that it and its stages name.

    Raises:
        LookupError: a field is missing or unknown, or a digest is of nothing that was given.
        ValueError: a field has a wrong value.
        TypeError: a part has another shape, or a field without a neutral value is missing.
    """
    values = {name: check_field(name, value) for name, value in recipe.items() if name not in {"model", *THINGS}}
    things: dict[str, Any] = {
        name: _source(recipe[name], found) for name in ("init_image", "mask_image") if name in recipe
    }
    if "vae" in recipe:
        things["vae"] = found.file(recipe["vae"]["sha256"])
    if "loras" in recipe:
        things["loras"] = tuple(_lora(each, found) for each in _listed(recipe["loras"]))
    if "embeddings" in recipe:
        things["embeddings"] = tuple(found.file(each["sha256"]) for each in _listed(recipe["embeddings"]))
    job = make_job(found.model(recipe["model"]), values | things)
    if job.init_image is None and (job.unsampled or job.mask_image):
        message = "init_image: is missing, and an upscaler or a mask needs it"
        raise ValueError(message)
    taken = [each.motion if isinstance(each, Stage) else Motion() for each in (job.init_image, job.mask_image)]
    if taken != [job.motion if job.unsampled and job.clip else Motion(), Motion()]:
        message = "init_image: of a clip one frame is taken, but by an upscaler, which takes a whole one"
        raise ValueError(message)
    return job


def _listed(values: Any) -> list[Any]:
    if not isinstance(values, list | tuple):
        message = f"files are a list, not {values!r:.80}"
        raise TypeError(message)
    return list(values)


def _source(value: Mapping[str, Any], found: Found) -> File | Stage:
    if not isinstance(value, Mapping) or not isinstance(value.get("recipe", {}), Mapping):
        message = f"a picture is a hash or a recipe, not {value!r:.80}"
        raise TypeError(message)
    if "recipe" in value:
        job = read_recipe(value["recipe"], found)
        frame = value.get("frame")
        if "frame" in value and not (job.clip and type(frame) is int and 1 <= frame <= job.motion.frames):
            message = f"frame {frame!r:.80} is none of the {job.motion.frames} that the stage makes"
            raise ValueError(message)
        return Stage(job=job, frame=frame, path=found.pictures.get(job.id, ""))
    return found.file(value["sha256"])


def _lora(value: Mapping[str, Any], found: Found) -> Lora:
    scales = {name: _number(value[name]) for name in ("scale", "clip_scale")}
    return Lora(file=found.file(value["sha256"]), **scales)


def _number(value: Any) -> float:
    if type(value) not in (int, float) or not isfinite(value):
        message = f"loras: a scale is a number, not {value!r:.80}"
        raise ValueError(message)
    return float(value)


def models_of(job: Job) -> Iterator[Model]:
    """Yield every model that a job and its stages name."""
    yield job.model
    for stage in job.stages:
        yield from models_of(stage)


def files_of(job: Job) -> Iterator[File]:
    """Yield every file that a job and its stages name."""
    yield from job.files
    for stage in job.stages:
        yield from files_of(stage)


def located(job: Job, pictures: Mapping[str, str]) -> Job:
    """Return `job` knowing where the pictures of its stages are; its id stays what it was."""
    if not job.stages:
        return job
    return replace(job, init_image=_moved(job.init_image, pictures), mask_image=_moved(job.mask_image, pictures))


def _moved(source: File | Stage | None, pictures: Mapping[str, str]) -> File | Stage | None:
    return replace(source, path=pictures.get(source.job.id, "")) if isinstance(source, Stage) else source
