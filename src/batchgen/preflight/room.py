"""Whether the disk holds what is about to be rendered. A night must not fail at three for what is known at eleven."""

import shutil
from collections.abc import Callable, Iterable
from pathlib import Path

from batchgen.errors import TryLater
from batchgen.job import Job
from batchgen.plan.estimate import Sample, estimate
from batchgen.preflight.finding import size

_BESIDE = 16 * 1024
"""Bytes of a picture beside its pixels: the record inside it, the record's own file, blocks of the file system."""


def check_room(jobs: Iterable[Job], folder: Path, samples: Callable[[], Iterable[Sample]]) -> None:
    """See that `folder`, which exists, has room for the pictures of `jobs`.

    Args:
        jobs: What is to be made.
        folder: Where.
        samples: Earlier pictures, read only if there is no room for pictures that cannot be compressed at all.

    Raises:
        TryLater: there is not.
    """
    asked = list(jobs)
    free = shutil.disk_usage(folder).free
    if _most(asked) <= free:
        return
    needed = likely(asked, samples())
    if needed > free:
        raise TryLater(
            f"{len(asked):,} pictures need about {size(needed)} and {size(free)} are free; "
            "make room, or choose another disk: output.root=FOLDER",
            where=str(folder),
        )


def likely(jobs: Iterable[Job], samples: Iterable[Sample]) -> int:
    """Return how many bytes the pictures of `jobs` will take, judged by `samples`; at most what raw pixels take."""
    asked, known = list(jobs), list(samples)
    models = {sample.model for sample in known}
    judged = [job for job in asked if job.model.digest in models]
    rest = [job for job in asked if job.model.digest not in models]
    found = estimate(judged, known).bytes + len(judged) * _BESIDE
    return min(found, _most(judged)) + _most(rest)


def _most(jobs: Iterable[Job]) -> int:
    return sum(job.canvas.width * job.canvas.height * job.motion.frames * 3 + _BESIDE for job in jobs)
