"""A large picture in overlapping tiles: where they lie, and how they are laid together again.

A network sees black beyond the edge of what it is given, so the outermost pixels of a tile are not what they would be
in the whole picture. Neighbours therefore share a strip, of which only the middle counts, fading from one to the other.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from batchgen.engine import Pixels

SEEN: Final = 32
"""Pixels that a tile sees beyond those it is there for; two neighbours share twice as many."""
_FADE: Final = 16
"""Pixels over which one tile fades into the next."""

Values = NDArray[np.float32]
"""Height x width x 3, 0 to 1."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """Where a tile lies along one side of the picture."""

    begin: int
    end: int
    shares: NDArray[np.float32]
    """How much each of its enlarged pixels counts, 0 to 1; where spans overlap, the sum is 1."""


def spans(length: int, most: int, scale: int) -> tuple[Span, ...]:
    """Return the spans that cover `length` pixels, none longer than `most`.

    All begin at multiples of the same number, which for tiles of 512, 256 and 128 is one of 64: networks that look at
    a picture in windows then have the windows that they would have in the whole.

    >>> [(span.begin, span.end) for span in spans(1000, 512, 2)]
    [(0, 512), (448, 960), (896, 1000)]
    """
    begins = [0]
    while begins[-1] + most < length:
        begins.append(begins[-1] + most - 2 * SEEN)
    ends = [min(begin + most, length) for begin in begins]
    shared = 2 * SEEN * scale
    centres = (np.arange(shared, dtype=np.float32) + 0.5) / scale
    rising = np.clip((centres - (SEEN - _FADE / 2)) / _FADE, 0, 1)
    found = []
    for begin, end in zip(begins, ends, strict=True):
        shares = np.ones((end - begin) * scale, np.float32)
        if begin != begins[0]:
            shares[:shared] = rising
        if end != ends[-1]:
            shares[-shared:] = 1 - rising
        found.append(Span(begin=begin, end=end, shares=shares))
    return tuple(found)


def laid_together(pixels: Pixels, most: int, scale: int, enlarge: Callable[[Pixels], Values]) -> Values:
    """Return a picture enlarged tile by tile.

    Args:
        pixels: The picture.
        most: The longest side of a tile, in pixels of the picture.
        scale: By how much `enlarge` enlarges.
        enlarge: Enlarges one tile.
    """
    height, width = pixels.shape[:2]
    rows, columns = spans(height, most, scale), spans(width, most, scale)
    if len(rows) == len(columns) == 1:
        return enlarge(pixels)
    whole: Values = np.zeros((height * scale, width * scale, 3), np.float32)
    for row in rows:
        for column in columns:
            tile = enlarge(pixels[row.begin : row.end, column.begin : column.end])
            tile *= row.shares[:, None, None] * column.shares[None, :, None]
            whole[row.begin * scale : row.end * scale, column.begin * scale : column.end * scale] += tile
    return whole
