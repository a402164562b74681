"""Letters on paper: how wide a text is, where it may break, how it is cut to the room that there is, and drawn.

matplotlib's layout (libraqm, HarfBuzz, FriBidi) shapes a line and orders its directions, in as many fonts as it takes.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from matplotlib.font_manager import get_font
from matplotlib.ft2font import FT2Font, LoadFlags
from PIL import Image, ImageDraw

from batchgen.compare.fonts import Fonts, installed, is_invisible
from batchgen.compare.layout import SEPARATOR

_CUT: Final = " ..."
_LONG: Final = 16
"""Characters of a word that is rather cut than left out."""

_LEFT_TO_RIGHT, _RIGHT_TO_LEFT = "\u200e", "\u200f"
_BLANK: Final = " \u200b"
_JOINER: Final = "\u200d"
_NARROWEST: Final = 0.25
"""Of a letter's size; what is longer than a line could be is not measured."""

_KEPT: Final = 20_000
"""Words and lines that are remembered: sheets repeat theirs."""

_WORD: Final = re.compile("\\S+(?: \u200e?·\u200e?(?= ))? ?")
"""With the space behind it, and a dot that parts it from the next value."""

_AFTER: Final = re.compile(r"(?<=[/\\\-_.,;:?&=+])(?=.)", re.DOTALL)
"""Where a word that is too long for a line may break, before it is cut anywhere."""

Colour = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Face:
    """Letters of one size, in whatever fonts there are."""

    size: int
    """Pixels."""
    line: int
    """Pixels from one line to the next."""
    fonts: Fonts

    def width(self, text: str) -> int:
        """Return how wide a text is in one line, in pixels."""
        return _measured(self, text)

    def wrap(self, text: str, width: int) -> list[str]:
        """Break a text into lines of at most `width` pixels, between words where that is possible.

        Characters that no font shows are written out.
        """
        lines, line, used = [], "", 0
        text = " ".join(text.split())
        for piece in self._pieces(_joined(self.fonts.readable(text)), width):
            wide = self.width(piece)
            if line and used + self.width(piece.rstrip()) > width:
                lines.append(line.rstrip(_BLANK))
                line, used = "", 0
            line, used = line + piece, used + wide
        line = line.rstrip(_BLANK)
        kept = [*lines, line] if line or not lines else lines
        direction = _direction(text)
        return [_towards(direction, each) for each in kept]

    def fitted(self, text: str, width: int, most: int) -> Sequence[str]:
        """Return at most so many lines; where dots stand for the rest, each value of a label keeps its beginning."""
        return _fitted(self, text, width, most)

    def _pieces(self, text: str, width: int) -> Iterator[str]:
        """Yield what stays together: words with the space behind them, cut where they are too long for a line."""
        for word in _words(text):
            if self.width(word.rstrip()) <= width:
                yield word
                continue
            for part in _AFTER.split(word):
                yield from self._cut(part, width)

    def _cut(self, part: str, width: int) -> Iterator[str]:
        piece, used = "", 0
        for cluster in _clusters(part):
            wide = self.width(cluster)
            if piece and used + wide > width:
                yield piece
                piece, used = "", 0
            piece, used = piece + cluster, used + wide
        yield piece

    def write(self, paper: Image.Image, text: str, at: tuple[float, float], colour: Colour, anchor: str = "l") -> None:
        """Write a line with its baseline at `at`, which is its beginning (anchor l), middle (m) or end (r)."""
        inked = _inked(self, text)
        if inked is None:
            return
        mask, aside, above = inked
        shift = {"l": 0, "m": -self.width(text) / 2, "r": -self.width(text)}[anchor]
        ImageDraw.Draw(paper).bitmap((round(at[0] + shift) + aside, round(at[1]) - above), mask, colour)

    def write_upright(self, paper: Image.Image, text: str, at: tuple[float, float], colour: Colour) -> None:
        """Write a line from below to above; it begins at `at`, the middle between its letters' feet and heads."""
        inked = _inked(self, text)
        if inked is None:
            return
        mask, aside, above = inked
        left = round(at[0] + 0.35 * self.size) - above
        corner = (left, round(at[1]) - aside - mask.width)
        ImageDraw.Draw(paper).bitmap(corner, mask.transpose(Image.Transpose.ROTATE_90), colour)


def face(size: int, line: int, fonts: Fonts | None = None) -> Face:
    """Return letters of this size, in the fonts of this machine if not in others."""
    return Face(size, line, fonts or installed())


def _set(face: Face, text: str) -> FT2Font:
    font = get_font(face.fonts.chain(text))
    font.set_size(0.9 * face.size, 72)  # DejaVu is larger than most faces of its size
    font.set_text(text, 0, flags=LoadFlags.TARGET_LIGHT)
    return font


@lru_cache(_KEPT)
def _measured(face: Face, text: str) -> int:
    return -(-int(_set(face, text).get_width_height()[0]) // 64)


@lru_cache(_KEPT)
def _fitted(face: Face, text: str, width: int, most: int) -> tuple[str, ...]:
    room = int(width * most / (_NARROWEST * face.size)) + 1
    parts = text.split(SEPARATOR)

    def cut(length: int) -> list[str]:
        return face.wrap(SEPARATOR.join(_beginning(part, length) for part in parts), width)

    least, over = 0, min(room, max(map(len, parts))) + 1
    if len(lines := cut(over)) <= most:
        return tuple(lines)
    while over - least > 1:
        middle = (least + over) // 2
        least, over = (middle, over) if len(cut(middle)) <= most else (least, middle)
    return tuple(cut(least)[:most])


@lru_cache(_KEPT)
def _inked(face: Face, text: str) -> tuple[Image.Image, int, int] | None:
    """Return a line as a mask, how far it begins right of its place, and how far it reaches above its baseline."""
    if not text.strip() or all(is_invisible(each) for each in text):
        return None
    font = _set(face, text)
    below = font.get_descent() / 64
    font.draw_glyphs_to_bitmap()
    mask = np.asarray(font.get_image())
    return Image.fromarray(mask), round(font.get_bitmap_offset()[0] / 64), mask.shape[0] - round(below)


def _beginning(text: str, length: int) -> str:
    """Return a text, or its first characters and dots: whole words, unless the last of them is a long one."""
    if len(text) <= length:
        return text
    words, space, _ = text[: length + 1].rpartition(" ")
    return f"{words if space and length - len(words) < _LONG else text[:length].rstrip()}{_CUT}"


def _joined(text: str) -> str:
    """Return a label in whose parts no direction spreads to the next."""
    marked = f" {_LEFT_TO_RIGHT}·{_LEFT_TO_RIGHT} "
    return text.replace(SEPARATOR, marked) if _turns(text) else text


def _direction(text: str) -> str:
    """Return the mark of the direction in which a text is read."""
    if SEPARATOR in text:
        return _LEFT_TO_RIGHT
    first = next((each for each in map(unicodedata.bidirectional, text) if each in ("L", "R", "AL")), "L")
    return _LEFT_TO_RIGHT if first == "L" else _RIGHT_TO_LEFT


def _towards(mark: str, line: str) -> str:
    """Return a line that is read in that direction, whatever it begins with."""
    return f"{mark}{line}" if _turns(line) else line


def _turns(text: str) -> bool:
    """Say whether anything in a text is read from right to left."""
    return not text.isascii() and any(unicodedata.bidirectional(each) in ("R", "AL", "AN") for each in text)


def _words(text: str) -> Iterator[str]:
    """Yield pieces between which a line may break; where scripts have no spaces, nearly everywhere."""
    for word in _WORD.findall(text):
        begin = 0
        for i in range(1, len(word)):
            if _may_break(word[i - 1], word[i]):
                yield word[begin:i]
                begin = i
        yield word[begin:]


def _may_break(before: str, after: str) -> bool:
    """Say whether a line may end between two characters of a word: UAX 14, as far as labels need it."""
    if before == "\u200b":
        return True
    if after.isspace() or is_invisible(after) or before == _JOINER or unicodedata.category(after) in _NO_BEGINNING:
        return False
    if unicodedata.category(before) in ("Ps", "Pi"):
        return False
    return unicodedata.east_asian_width(before) in "WF" or unicodedata.east_asian_width(after) in "WF"


_NO_BEGINNING: Final = ("Mn", "Mc", "Me", "Pe", "Pf", "Po", "Lm", "Sk")
"""Kinds of characters that belong to the one before: marks, closing brackets, full stops, the Japanese long vowel."""


def _clusters(text: str) -> Iterator[str]:
    """Yield characters, each with its marks and what is joined to it."""
    cluster = ""
    for each in text:
        belongs = (
            unicodedata.category(each).startswith("M")
            or is_invisible(each)
            or cluster.endswith(_JOINER)
            or (cluster and unicodedata.combining(cluster[-1]) == 9)  # a virama joins letters of Indian scripts
        )
        if cluster and not belongs:
            yield cluster
            cluster = ""
        cluster += each
    if cluster:
        yield cluster
