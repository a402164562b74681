"""How a page that is too large for one file goes on in further ones: rows after rows, and within them columns."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from math import ceil, sqrt
from typing import Final

from batchgen.compare.layout import Page, Shown, in_rows
from batchgen.compare.sheet import NARROWEST, Letters, around, pitch

_MOST_CAPTIONS: Final = 1000
"""Looked at to guess how high the rows of a page will be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Of one file."""

    pixels: int
    side: int
    """Pixels of the longer side."""


def parts(
    page: Page, cell: tuple[int, int], letters: Letters, bounds: Bounds, columns: int | None = None
) -> Iterator[Page]:
    """Cut `page` so that no part is larger than allowed; none has less than one row and column.

    Args:
        page: What stands where.
        cell: Width and height of a place, in pixels.
        letters: What it is lettered with.
        bounds: Of a part.
        columns: Of a part, at most.
    """
    wide, high = pitch(page, cell, letters)
    beside, above = around(page, letters)
    widest = min(bounds.side, bounds.pixels // (high + above))
    across = _cuts(len(page.columns), max(1, (widest - beside) // wide), columns)
    width = max(NARROWEST, beside + wide * max(right - left for left, right in across))
    most = (min(bounds.side, bounds.pixels // width) - above) // high
    for top, bottom in _cuts(len(page.rows), max(1, most)):
        for left, right in across:
            yield replace(
                page,
                columns=page.columns[left:right],
                rows=page.rows[top:bottom],
                cells=tuple(row[left:right] for row in page.cells[top:bottom]),
            )


def wrapped(
    shown: Sequence[Shown], cell: tuple[int, int], letters: Letters, bounds: Bounds, columns: int | None = None
) -> Page:
    """Return places one after another, in rows of so many `columns`, or else so many that a sheet is about square."""
    wide, high = pitch(in_rows(shown[:_MOST_CAPTIONS], 1), cell, letters)
    beside, above = around(in_rows(shown[:1], 1), letters)
    on_one = min(len(shown), max(1, bounds.pixels // (wide * high)))
    widest = max(1, (min(bounds.side, bounds.pixels // (high + above)) - beside) // wide)
    return in_rows(shown, min(columns or max(1, ceil(sqrt(on_one * high / wide))), widest, len(shown)))


def _cuts(count: int, most: int, asked: int | None = None) -> list[tuple[int, int]]:
    """Return where the parts of so many rows or columns begin and end: equal ones, unless a number is asked for."""
    size = asked if asked and asked <= most else ceil(count / ceil(count / most))
    return list(pairwise([*range(0, count, size), count]))
