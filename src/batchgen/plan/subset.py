"""A random part of a whole that is too large to write out."""

from collections.abc import Iterator
from random import Random


def drawn(total: int, seed: int) -> Iterator[int]:
    """Yield the numbers 0 to total-1 in a random order that depends on `seed` alone, each once.

    The first 10 are the first 10 of the first 100, so a subset that grows keeps its cells. This is the shuffle of
    Fisher and Yates on a list that is never made: only the places that were swapped are remembered.
    """
    rng = Random(seed)  # noqa: S311 - a draw that must be the same next time
    moved: dict[int, int] = {}
    for i in range(total):
        j = rng.randrange(i, total)
        yield moved.get(j, j)
        moved[j] = moved.pop(i, i)
