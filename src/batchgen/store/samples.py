"""Pictures that were made before, as samples from which a plan's time and disk are judged."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from batchgen.plan.estimate import Sample, work_of
from batchgen.store.history import history
from batchgen.store.layout import RunDirectory

MOST_OF_A_RUN = 40
"""Records read of one run: a median needs no more, and `plan` should answer at once."""


def samples(runs: Iterable[Path], models: set[str]) -> Iterator[Sample]:
    """Yield samples of `models` (digests) from run directories; what cannot be read is passed over."""
    for root in dict.fromkeys(path.resolve() for path in runs):
        yield from islice(_of_run(RunDirectory(root), models), MOST_OF_A_RUN)


def _of_run(directory: RunDirectory, models: set[str]) -> Iterator[Sample]:
    for done in history(directory).done.values():
        try:
            recipe = json.loads(directory.record(done.id).read_bytes())["recipe"]
            pixels = recipe["width"] * recipe["height"]
            work = work_of(pixels=pixels, steps=recipe["steps"], sampler=recipe["sampler"])
            model = recipe["model"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if model in models:
            yield Sample(model=model, work=work, pixels=pixels, seconds=done.seconds, bytes=done.bytes)
