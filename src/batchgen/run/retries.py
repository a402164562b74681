"""What of a group is still to be rendered, and how it is tried again. Pure: no process, no clock.

A batch that failed is tried once more as it was, so that the bits of its pictures do not change because somebody killed
a process; then its jobs one by one, so that the one at fault fails alone. Jobs during which the worker died are tried
with nothing else in the worker: the next death is theirs and nobody else's.
"""

from collections import deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, replace

from batchgen.plan.expand import Cell

MOST_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Cells to go through the denoiser together."""

    cells: tuple[Cell, ...]
    size: int = 0
    """Pictures to go through together with copies of the last one, where that is more than there are cells."""
    attempt: int = 1
    alone: bool = False
    """Nothing else may be in the worker meanwhile."""
    rehearsal: bool = False
    """Only tried, not made."""
    degradations: tuple[str, ...] = ()
    """What is done otherwise than planned, for the records."""


class Queue:
    """The batches of one group that are still to be rendered."""

    def __init__(
        self,
        batches: Iterable[tuple[Cell, ...]],
        size: int = 0,
        *,
        most: int | None = None,
        rehearsal: bool = False,
    ) -> None:
        """Begin with the plan's batches, each filled up to `size`, of which memory holds `most` as far as is known."""
        self._waiting = deque(Batch(cells=cells, size=size, rehearsal=rehearsal) for cells in batches)
        self.most = most
        """Pictures that memory has shown to hold at once; None while nothing is known."""

    def __bool__(self) -> bool:
        """Whether anything is left."""
        return bool(self._waiting)

    @property
    def next_is_alone(self) -> bool:
        """Whether the next batch must have the worker for itself."""
        return bool(self._waiting) and self._waiting[0].alone

    @property
    def stages(self) -> frozenset[str]:
        """Ids of the jobs whose pictures the next batch begins with; none for a rehearsal, which begins with noise."""
        batch = self._waiting[0] if self._waiting else None
        cells = () if batch is None or batch.rehearsal else batch.cells
        return frozenset(stage.id for cell in cells for stage in cell.job.stages)

    @property
    def ids(self) -> frozenset[str]:
        """Ids of the jobs that are still to be made."""
        return frozenset(cell.job.id for batch in self._waiting for cell in batch.cells)

    def postpone(self) -> None:
        """Put the next batch behind all others: what it begins with is among them, for another attempt."""
        self._waiting.append(self._waiting.popleft())

    def without(self, stages: Container[str]) -> tuple[Cell, ...]:
        """Take out of the next batch the cells that need one of `stages`, and return them."""
        batch = self._waiting.popleft()
        out = tuple(cell for cell in batch.cells if any(stage.id in stages for stage in cell.job.stages))
        if left := tuple(cell for cell in batch.cells if cell not in out):
            self._waiting.appendleft(replace(batch, cells=left))
        return out

    def next(self) -> Batch:
        """Take the next batch, no larger than memory has shown to hold."""
        batch = self._waiting.popleft()
        if self.most is None or len(batch.cells) <= self.most:
            return batch
        parts = _parts(batch, self.most, f"memory: at most {self.most} at a time instead of {len(batch.cells)}")
        self._waiting.extendleft(reversed(parts[1:]))
        return parts[0]

    def give_back(self, batch: Batch) -> None:
        """Take back a batch that nobody began."""
        self._waiting.appendleft(batch)

    def retry(self, batch: Batch, ids: Sequence[str], *, alone: bool) -> tuple[Cell, ...]:
        """Put the jobs `ids` of `batch` back for another attempt; return those that have had all of theirs."""
        cells = tuple(cell for cell in batch.cells if cell.job.id in set(ids))
        if batch.attempt == MOST_ATTEMPTS:
            return cells
        again = replace(batch, cells=cells, attempt=batch.attempt + 1, alone=alone or batch.alone)
        last = again.attempt == MOST_ATTEMPTS
        note = f"attempt {again.attempt}: rendered alone instead of {len(batch.cells)} together"
        self._waiting.extend(_parts(again, 1, note) if last and len(cells) > 1 else [again])
        return ()

    def halve(self, batch: Batch) -> tuple[Cell, ...]:
        """Put `batch`, which did not fit into memory, back in halves; a single job is tried again as it is.

        The group's later batches are no larger. Returns the jobs that have had all of their attempts.
        """
        count = len(batch.cells)
        if count == 1:
            return self.retry(batch, [batch.cells[0].job.id], alone=False)
        self.most = min(count // 2, self.most or count)
        parts = _parts(batch, self.most, f"out of memory: {self.most} at a time instead of {count}")
        self._waiting.extendleft(reversed(parts))
        return ()

    def abandon(self) -> tuple[Cell, ...]:
        """Give the group up; return its cells."""
        cells = tuple(cell for batch in self._waiting for cell in batch.cells)
        self._waiting.clear()
        return cells


def _parts(batch: Batch, most: int, note: str) -> list[Batch]:
    cells, degradations = batch.cells, (*batch.degradations, note)
    size, starts = min(batch.size, most), range(0, len(cells), most)
    return [replace(batch, cells=cells[at : at + most], size=size, degradations=degradations) for at in starts]
