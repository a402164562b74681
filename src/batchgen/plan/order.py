"""The order of work: what loads least, and what a person wants to see first."""

import re
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import groupby
from typing import Final, Literal

from batchgen.job import Job, Model
from batchgen.plan.expand import Cell

Order = Literal["grouped", "breadth"]
Batch = tuple[Cell, ...]
"""Cells of different jobs that go through the denoiser together."""

_ROOM: Final = 75
"""Tokens in a chunk of CLIP's: the denoiser attends to whole chunks."""
_ROOMS: Final[Mapping[str, int]] = {"flux": 256}
"""Families whose denoiser attends to what another encoder has read; FLUX.1-schnell's, which takes the shortest."""
_WEIGHT: Final = re.compile(r":\s*[0-9.]+\s*\)|[()\[\]\\]")
"""`(`, `:1.2)` and the like say how much a word weighs, and are no words."""
_PIECE: Final = re.compile(r"[A-Za-z]+|\S")
"""What is about one token: a word of English, or any other character by itself."""


def in_order(cells: Sequence[Cell], order: Order) -> list[Cell]:
    """Sort cells by what is dear to change: model, its precision, shape, sampling, length; then as the manifest says.

    A nested sort meets the lower bound at every level: each model is loaded once, each shape met once for a model, and
    so on. Lengths are those of `chunks_of`. `breadth` puts, within a model, one take of everything before the second
    take of anything.
    """
    ranks = _Ranks()
    takes = _takes(cells) if order == "breadth" else [0] * len(cells)

    def key(place: int) -> tuple[int, ...]:
        job = cells[place].job
        begins = job.init_image is not None
        loaded = (_rounds(job), *map(ranks.of, _host(job)), depth(job) if begins else 0)
        laid_beside = (ranks.of(job.loras), ranks.of((job.vae, job.embeddings)))
        shape = (ranks.of(job.canvas), ranks.of(job.numerics), ranks.of(job.sampling))
        return (
            *loaded,
            takes[place],
            *laid_beside,
            *shape,
            ranks.of(job.start) if begins else 0,
            ranks.of(chunks_of(job)),
        )

    return [cells[place] for place in sorted(range(len(cells)), key=key)]


def _host(job: Job) -> tuple[Model, str]:
    """Return the model that a job goes with: an upscaler goes with the one whose pictures it enlarges.

    The precision is beside it, for in another one a model is read again.
    """
    return _host(job.stages[0]) if job.stages and job.unsampled else (job.model, job.numerics.precision)


def _rounds(job: Job) -> int:
    """Return how often the models go round before a job can be made: 0 if its stages are its own model's."""
    stages = job.stages
    return max(_rounds(stage) + (_host(stage) != _host(job)) for stage in stages) if stages else 0


def depth(job: Job) -> int:
    """Return how many jobs stand before it, one behind the other."""
    return max((depth(stage) + 1 for stage in job.stages), default=0)


def batches(cells: Iterable[Cell], most: int, begun: Sequence[Sequence[str]] = ()) -> Iterator[Batch]:
    """Cut ordered cells of different jobs into batches: neighbours of equal `batch_key` and length, at most `most`.

    What begins with another one's picture is never in a batch with it. Of equal neighbours, the batches that were
    `begun`, by the ids of their jobs, each once, come first.
    """
    for _, run in groupby(cells, key=lambda cell: (cell.job.batch_key, depth(cell.job), chunks_of(cell.job))):
        left = {cell.job.id: cell for cell in run}
        for ids in begun:
            if 0 < len(ids) <= most and all(id_ in left for id_ in ids):
                yield tuple(left.pop(id_) for id_ in ids)
        members = list(left.values())
        for start in range(0, len(members), most):
            yield tuple(members[start : start + most])


def chunks_of(job: Job) -> tuple[int, int]:
    """Return about how many chunks a job's prompt and negative prompt take; without guidance there is no negative one.

    The denoiser takes texts of one length at a time and fills up the rest of a batch, so that a batch of two lengths
    costs twice as much. This is an estimate, made without a tokenizer: where it errs, time is lost and nothing else.
    """
    room = _ROOMS.get(job.model.family, _ROOM)
    negative = 0 if job.sampling.guidance_scale == 1 else _chunks(job.text.negative_prompt, room)
    return _chunks(job.text.prompt, room), negative


def _chunks(text: str, room: int) -> int:
    # A piece has at least one character, so most texts need not be looked at.
    return 1 if len(text) <= room else _counted(text, room)


@lru_cache(maxsize=2**17)
def _counted(text: str, room: int) -> int:
    unweighted = _WEIGHT.sub(" ", text) if "(" in text else text
    pieces = len(_PIECE.findall(unweighted))
    return max(1, -(-pieces // room))


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
