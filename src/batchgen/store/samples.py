"""Pictures that were made before, as samples from which a plan's time and disk are judged."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from batchgen.errors import BatchgenError
from batchgen.parts import check_field
from batchgen.plan.estimate import Sample, work_of
from batchgen.store.content import content
from batchgen.store.history import Done, history
from batchgen.store.layout import RunDirectory
from batchgen.store.record import LARGEST

MOST_OF_A_RUN = 40
"""Records read of one run: a median needs no more, and `plan` should answer at once."""


def samples(runs: Iterable[Path], models: set[str]) -> Iterator[Sample]:
    """Yield samples of `models` (digests) from run directories; what cannot be read is passed over."""
    for root in dict.fromkeys(path.resolve() for path in runs):
        yield from islice(_of_run(RunDirectory(root), models), MOST_OF_A_RUN)


def _of_run(directory: RunDirectory, models: set[str]) -> Iterator[Sample]:
    try:
        made = history(directory).done.values()
    except (OSError, BatchgenError):
        return
    for done in made:
        try:
            recipe = json.loads(content(directory.record(done.id), LARGEST))["recipe"]
            sample = _sample(recipe, done)
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            continue
        if sample.model in models:
            yield sample


def _sample(recipe: Any, done: Done) -> Sample:
    # Checked as a job is: a width of 0 in a record that anybody may have written would divide every estimate by it.
    width, height, steps = (check_field(name, recipe[name]) for name in ("width", "height", "steps"))
    pixels = width * height * check_field("frames", recipe.get("frames", 1))
    work = work_of(pixels=pixels, steps=steps, sampler=check_field("sampler", recipe["sampler"]))
    return Sample(model=str(recipe["model"]), work=work, pixels=pixels, seconds=done.seconds, bytes=done.bytes)
