"""How long a plan will take and how much disk it wants, judged by pictures that were made before. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from batchgen.job import Job
from batchgen.sampling.names import EVERY_SAMPLER


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One picture that was made before on this machine."""

    model: str
    """The model's digest."""
    work: float
    """As `work_of` its job."""
    pixels: int
    """Of all frames."""
    seconds: float
    bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the jobs of which something is known will take. `known` of `asked` jobs have a model with samples."""

    seconds: float
    bytes: int
    known: int
    asked: int


def work_of(*, pixels: int, steps: int, sampler: str) -> float:
    """Denoiser calls times pixels: what render time is nearly proportional to, for one model."""
    return pixels * (steps * EVERY_SAMPLER[sampler].evaluations_per_step)


def estimate(jobs: Iterable[Job], samples: Iterable[Sample]) -> Estimate:
    """Judge each job by the median of its model's samples; models without samples are not counted."""
    rates: dict[str, list[tuple[float, float]]] = {}
    for sample in samples:
        rate = (sample.seconds / sample.work, sample.bytes / sample.pixels)
        rates.setdefault(sample.model, []).append(rate)
    typical = {model: tuple(median(side) for side in zip(*pairs, strict=True)) for model, pairs in rates.items()}
    seconds = size = 0.0
    known = asked = 0
    for job in jobs:
        asked += 1
        if (found := typical.get(job.model.digest)) is None:
            continue
        known += 1
        pixels = job.canvas.width * job.canvas.height * job.motion.frames
        seconds += found[0] * work_of(pixels=pixels, steps=job.sampling.steps, sampler=job.sampling.sampler)
        size += found[1] * pixels
    return Estimate(seconds=seconds, bytes=round(size), known=known, asked=asked)
