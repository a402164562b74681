"""The order of work: what loads least, and what a person wants to see first."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from itertools import groupby
from typing import Literal

from batchgen.plan.expand import Cell

Order = Literal["grouped", "breadth"]
Batch = tuple[Cell, ...]
"""Cells of different jobs that go through the denoiser together."""


def in_order(cells: Sequence[Cell], order: Order) -> list[Cell]:
    """Sort cells by what is dear to change: model, its precision, shape, sampling; then as the manifest says.

    A nested sort meets the lower bound at every level: each model is loaded once, each shape met once for a model, and
    so on. `breadth` puts, within a model, one take of everything before the second take of anything.
    """
    ranks = _Ranks()
    takes = _takes(cells) if order == "breadth" else [0] * len(cells)

    def key(place: int) -> tuple[int, ...]:
        job = cells[place].job
        # Another precision means that the model is read again.
        loaded = (ranks.of(job.model), ranks.of(job.numerics.precision))
        return (*loaded, takes[place], ranks.of(job.canvas), ranks.of(job.numerics), ranks.of(job.sampling))

    return [cells[place] for place in sorted(range(len(cells)), key=key)]


def batches(cells: Iterable[Cell], most: int) -> Iterator[Batch]:
    """Cut ordered cells into batches: neighbours of equal `batch_key`, at most `most` of them."""
    for _, run in groupby(cells, key=lambda cell: cell.job.batch_key):
        members = list(run)
        for start in range(0, len(members), most):
            yield tuple(members[start : start + most])


class _Ranks:
    """Numbers values by when they are first met, so that the manifest's order stays."""

    def __init__(self) -> None:
        self._rank: dict[Hashable, int] = {}

    def of(self, value: Hashable) -> int:
        """Return the number of a value."""
        return self._rank.setdefault(value, len(self._rank))


def _takes(cells: Iterable[Cell]) -> list[int]:
    """Return for each cell how many cells before it differ from it in the seed alone."""
    taken: dict[Hashable, int] = {}
    found = []
    for cell in cells:
        place = tuple(value for name, value in cell.coordinates.items() if name != "seed")
        found.append(taken.get(place, 0))
        taken[place] = found[-1] + 1
    return found
