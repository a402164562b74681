"""A job of several stages taken apart as people speak of it: a picture, a second pass over it, an enlargement."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final

from batchgen.job import Job, Model, Stage
from batchgen.parts import Start

OWN: Final = frozenset(
    {"width", "height", "steps", "seed", "init_image", "mask_image", *(each.name for each in fields(Start))}
)
"""The fields that each pass of `hires` has for itself."""
_MULTIPLES: Final = (1, 8, 16, 64)
"""Of what a side may be a multiple: sides that were enlarged have been rounded to one of these."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Passes:
    """The stages of a job."""

    first: Job | None
    """What was sampled first; None where a file was only enlarged."""
    second: Job | None = None
    """The same at a larger size, begun with the first one's picture."""
    between: Model | None = None
    """The upscaler that enlarged the first one's picture for the second."""
    enlarged: Job | None = None
    """What made the finished picture larger."""


def passes(job: Job) -> Passes:
    """Take a job apart."""
    enlarged, last = (job, job) if job.unsampled else (None, job)
    while last.unsampled:
        if not isinstance(last.init_image, Stage):
            return Passes(first=None, enlarged=enlarged)
        last = last.init_image.job
    if not isinstance(last.init_image, Stage) or last.mask_image is not None:
        return Passes(first=last, enlarged=enlarged)
    before, between = last.init_image.job, None
    if before.unsampled and isinstance(before.init_image, Stage):
        before, between = before.init_image.job, before.model
    if before.unsampled or not same_but_passes(before.recipe, last.recipe):
        return Passes(first=last, enlarged=enlarged)
    return Passes(first=before, second=last, between=between, enlarged=enlarged)


def same_but_passes(first: Mapping[str, Any], second: Mapping[str, Any]) -> bool:
    """Whether two recipes differ only in what the passes of `hires` have for themselves."""
    return _shared(first) == _shared(second)


def _shared(recipe: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in recipe.items() if name not in OWN}


def scale_between(before: Mapping[str, Any], after: Mapping[str, Any]) -> float:
    """Return the simplest number that makes both sides of `before` those of `after`, however they were rounded."""
    sides = [(before[side], after[side]) for side in ("width", "height")]
    for multiple in _MULTIPLES:
        low: float = max((large - multiple / 2) / small for small, large in sides)
        high: float = min((large + multiple / 2) / small for small, large in sides)
        for digits in range(7):
            if low < (scale := round((low + high) / 2, digits)) < high:
                return scale
    return float(sides[0][1] / sides[0][0])
