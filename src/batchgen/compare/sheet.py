"""Contact sheets: a page of pictures with the names of its rows and columns, as on paper.

A sheet shows what is there: a picture still to be made is a pale field that says so, one that failed says why, and an
excluded combination is left empty.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Final

from PIL import Image, ImageDraw

from batchgen.compare.fonts import Fonts
from batchgen.compare.layout import Page, Shown
from batchgen.compare.lettering import Face, face
from batchgen.compare.printing import DAMAGED, Imprint, save, shows

SMALLEST_CELL, LARGEST_CELL = 160, 512
"""Pixels of a cell's longer side: small pictures are enlarged by a whole number, large ones are reduced to fit."""

GAP: Final = 8
MARGIN: Final = 28
LABEL: Final = 208
"""Pixels of the widest label of a row."""

_DRAWN: Final = 2
"""Counts the ways in which sheets were drawn: one of an older batchgen is drawn again."""

_NARROW, _NARROW_CAPTION = 20, 88
"""Pixels of a column, however small its pictures are."""

_ROTATED: Final = 90
"""Pixels of a column below which a name that does not fit stands upright."""

_UPRIGHT: Final = 150
"""Pixels of the longest such name."""

NARROWEST: Final = 420
"""Pixels of a sheet: its title has to go somewhere."""

_TITLE_LINES, _PAGE_LINES, _HEAD_LINES, _CAPTION_LINES, _FOOT_LINES = 2, 5, 3, 4, 3
_PAPER, _INK, _FAINT, _EDGE = (255, 255, 255), (28, 30, 34), (104, 108, 114), (222, 224, 228)
_FIELD, _FAILED, _REJECTED = (238, 239, 241), (253, 232, 229), (252, 241, 214)

_MARKS: Final = {"not made yet": "…", "missing": "…", "failed": "×", "rejected": "–", "unreadable": "?"}
"""What stands in a place that is too small for the word."""

_FIELDS: Final = {"failed": _FAILED, "unreadable": _FAILED, "rejected": _REJECTED}

Read = Callable[[Shown], Image.Image | None]
"""Returns what is to be seen in a place, or None where that cannot be read."""


@dataclass(frozen=True, slots=True)
class Letters:
    """The three sizes of letters on a sheet."""

    title: Face
    head: Face
    text: Face


def letters(fonts: Fonts | None = None) -> Letters:
    """Return what sheets are lettered with, in the fonts of this machine if not in others."""
    return Letters(face(23, 31, fonts), face(15, 20, fonts), face(13, 17, fonts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Sheet:
    """One file: a page or a part of one, and the words around it."""

    path: Path
    page: Page
    cell: tuple[int, int]
    """Width and height of one field in pixels."""
    title: str
    footer: str = ""
    """What all pictures have in common."""
    run: str = ""
    """The name of the run directory."""
    number: str = ""
    """Such as `page 2 of 5`."""

    @property
    def imprint(self) -> Imprint:
        """What its file says of itself."""
        page = self.page
        shown = (_DRAWN, page, self.cell, self.title, self.footer, self.run, self.number)
        sides = [("columns", page.x, page.columns), ("rows", page.y, page.rows)]
        lines = [
            f"run: {self.run}" if self.run else "",
            self.footer,
            *(f"{side}: {axis} = {', '.join(dict.fromkeys(names))}" for side, axis, names in sides if axis),
            self.number,
        ]
        return Imprint(
            said=hashlib.sha256(repr(shown).encode(errors="replace")).hexdigest(),
            title=f"{self.title}: {page.title}" if page.title else self.title,
            description="\n".join(line[:1000] for line in lines if line),
        )


def write(sheet: Sheet, in_letters: Letters | None = None) -> None:
    """Draw a sheet and write it, unless it is there and shows the same.

    Raises:
        TryLater: no room.
        StoreError: it cannot be written.
    """
    imprint = sheet.imprint
    if shows(sheet.path) != imprint.said:
        save(Drawing(sheet, in_letters).with_pictures(picture_of), sheet.path, imprint)


def picture_of(shown: Shown) -> Image.Image | None:
    """Return a picture in RGB, or None where it is damaged: one torn file must not cost the others their sheet."""
    if shown.picture is None:
        return None
    try:
        with Image.open(shown.picture, formats=("PNG",)) as picture:
            return picture.convert("RGB")
    except DAMAGED:
        return None


class Drawing:
    """A sheet with all its words, into which pictures are laid; frames of clips again and again."""

    def __init__(self, sheet: Sheet, in_letters: Letters | None = None) -> None:
        """Find out how large everything is, and write the words."""
        self._sheet, self._page, self._cell = sheet, sheet.page, sheet.cell
        self._letters = in_letters or letters()
        self._wide, self._high = pitch(self._page, self._cell, self._letters)
        self._column = self._wide - GAP
        page, head = self._page, self._letters.head
        most = max(1, (self._high - GAP) // head.line)
        self._labels = [head.fitted(name, LABEL, most) if page.y else [] for name in page.rows]
        self._axis = self._letters.text.fitted(page.y, LABEL, 1)[0] if page.y else ""
        labels = [head.width(line) for label in self._labels for line in label]
        widest = max([self._letters.text.width(self._axis), *labels])
        self._left = MARGIN + (widest + 14 if page.y else 0)
        used = self._left + len(page.columns) * self._wide - GAP + MARGIN
        self.width = max(used, NARROWEST)
        self._titles = self._letters.title.fitted(sheet.title, self.width - 2 * MARGIN, _TITLE_LINES)
        self._names = head.fitted(page.title, self.width - 2 * MARGIN, _PAGE_LINES) if page.title else []
        self._top = self._head_end + self._head_height + 10
        self._bottom = self._top + len(page.rows) * self._high - GAP
        self._foot = self._foot_lines()
        self.height = self._bottom + 16 + len(self._foot) * self._letters.text.line + MARGIN

    @property
    def _head_end(self) -> int:
        """Where the titles end and the names of columns begin."""
        titles = len(self._titles) * self._letters.title.line + len(self._names) * self._letters.head.line
        return MARGIN + titles + 12

    @property
    def _head_height(self) -> int:
        axes = self._letters.text.line + 4 if self._page.x or self._page.y else 0
        if self._upright:
            return axes + max(self._letters.head.width(head[0]) for head in self._heads)
        return axes + max(map(len, self._heads), default=0) * self._letters.head.line

    @cached_property
    def _upright(self) -> bool:
        """Whether the names of columns are too long to stand as usual above columns that are narrow."""
        head = self._letters.head
        words = (word for name in self._page.columns for word in head.fonts.readable(name).split())
        return self._column < _ROTATED and any(head.width(word) > self._column for word in words)

    @cached_property
    def _heads(self) -> list[Sequence[str]]:
        if not self._page.x:
            return []
        room = (_UPRIGHT, 1) if self._upright else (self._column, _HEAD_LINES)
        return [self._letters.head.fitted(name, *room) for name in self._page.columns]

    def _foot_lines(self) -> list[str]:
        sheet, text, width = self._sheet, self._letters.text, self.width - 2 * MARGIN
        words = {_word(each) for row in self._page.cells for each in row if each and each.picture is None}
        marked = sorted(word for word in words if not self._has_room_for(word))
        return [
            *(text.fitted(sheet.footer, width, _FOOT_LINES) if sheet.footer else []),
            *(text.fitted(", ".join(f"{_MARKS[word]} {word}" for word in marked), width, 1) if marked else []),
            *(text.fitted(f"run {sheet.run}", width - text.width(f"{sheet.number}   "), 1) if sheet.run else []),
            *([""] if sheet.number and not sheet.run else []),
        ]

    @cached_property
    def _paper(self) -> Image.Image:
        sheet = Image.new("RGB", (self.width, self.height), _PAPER)
        at = float(MARGIN)
        for letters_, lines, colour in (
            (self._letters.title, self._titles, _INK),
            (self._letters.head, self._names, _FAINT),
        ):
            for line in lines:
                at += letters_.line
                letters_.write(sheet, line, (MARGIN, at - 0.3 * letters_.line), colour)
        self._write_heads(sheet)
        self._write_labels(sheet)
        self._write_captions(sheet)
        self._write_foot(sheet)
        return sheet

    def _write_heads(self, sheet: Image.Image) -> None:
        text, head = self._letters.text, self._letters.head
        text.write(sheet, self._axis, (self._left - 14, self._top - 10), _FAINT, "r")
        if not self._page.x:
            return
        (axis,) = text.fitted(self._page.x, self.width - self._left - MARGIN, 1)
        text.write(sheet, axis, (self._left, self._head_end + text.line - 4), _FAINT)
        for column, lines in enumerate(self._heads):
            middle = self._left + column * self._wide + self._column / 2
            if self._upright:
                head.write_upright(sheet, lines[0], (middle, self._top - 8), _INK)
                continue
            for number, line in enumerate(reversed(lines)):
                head.write(sheet, line, (middle, self._top - 10 - number * head.line), _INK, "m")

    def _write_labels(self, sheet: Image.Image) -> None:
        head = self._letters.head
        for row, lines in enumerate(self._labels):
            middle = self._top + row * self._high + self._cell[1] / 2
            first = middle - (len(lines) / 2 - 0.75) * head.line
            for number, line in enumerate(lines):
                head.write(sheet, line, (self._left - 14, first + number * head.line), _INK, "r")

    def _write_captions(self, sheet: Image.Image) -> None:
        text = self._letters.text
        for shown, x, y in self._places():
            lines = text.fitted(shown.caption, self._column, _CAPTION_LINES) if shown and shown.caption else []
            for number, line in enumerate(lines, start=1):
                below = y + self._cell[1] + number * text.line
                text.write(sheet, line, (x + self._column / 2, below), _INK, "m")

    def _write_foot(self, sheet: Image.Image) -> None:
        text = self._letters.text
        at = self._bottom + 16
        for line in self._foot:
            at += text.line
            text.write(sheet, line, (MARGIN, at - 4), _FAINT)
        text.write(sheet, self._sheet.number, (self.width - MARGIN, at - 4), _FAINT, "r")

    def _places(self) -> Iterable[tuple[Shown | None, int, int]]:
        """Yield what is shown, and the left upper corner of its column and row."""
        for row, line in enumerate(self._page.cells):
            for column, shown in enumerate(line):
                yield shown, self._left + column * self._wide, self._top + row * self._high

    def with_pictures(self, read: Read) -> Image.Image:
        """Return the sheet as an RGB picture."""
        sheet = self._paper.copy()
        for shown, x, y in self._places():
            self._lay(sheet, shown, None if shown is None else read(shown), (x, y))
        return sheet

    def _lay(self, sheet: Image.Image, shown: Shown | None, picture: Image.Image | None, at: tuple[int, int]) -> None:
        left, top = at[0] + (self._column - self._cell[0]) // 2, at[1]
        text = self._letters.text
        if shown is None:
            text.write(sheet, "-", (at[0] + self._column / 2, top + self._cell[1] / 2 + 4), _FAINT, "m")
        elif picture is None:
            self._lay_field(sheet, shown, (left, top))
        else:
            lay(sheet, picture, (left, top, *self._cell))

    def _lay_field(self, sheet: Image.Image, shown: Shown, at: tuple[int, int]) -> None:
        """Say what became of a picture that is not there."""
        word, (width, height), text = _word(shown), self._cell, self._letters.text
        field = (*at, at[0] + width - 1, at[1] + height - 1)
        ImageDraw.Draw(sheet).rectangle(field, fill=_FIELDS.get(word, _FIELD))
        lines = [word if self._has_room_for(word) else _MARKS[word]]
        most = (height - 8) // text.line - 1
        if self._has_room_for(word) and most > 0 and shown.reason:
            lines += text.fitted(shown.reason, width - 12, min(most, 6))
        first = at[1] + height / 2 - (len(lines) / 2 - 0.72) * text.line
        for number, line in enumerate(lines):
            text.write(sheet, line, (at[0] + width / 2, first + number * text.line), _FAINT, "m")

    def _has_room_for(self, word: str) -> bool:
        return self._letters.text.width(word) + 4 <= self._cell[0] and self._letters.text.line <= self._cell[1]


def _word(shown: Shown) -> str:
    """Return what is said in place of a picture."""
    if shown.picture is not None:
        return "unreadable"
    if shown.state in ("failed", "rejected", "unreadable"):
        return shown.state
    return "missing" if shown.reason else "not made yet"


def pitch(page: Page, cell: tuple[int, int], in_letters: Letters) -> tuple[int, int]:
    """Return the pixels from one column to the next, and from one row to the next."""
    captions = {each.caption for row in page.cells for each in row if each and each.caption}
    width = max(cell[0], _NARROW_CAPTION if captions else _NARROW)
    lines = max((len(in_letters.text.fitted(each, width, _CAPTION_LINES)) for each in captions), default=0)
    beneath = lines * in_letters.text.line + 10 if lines else 0
    return width + GAP, max(cell[1], in_letters.head.line if page.y else 0) + beneath + GAP


def around(page: Page, in_letters: Letters) -> tuple[int, int]:
    """Return the most pixels that the words beside and above and below a table take."""
    heads = max(_HEAD_LINES * in_letters.head.line, _UPRIGHT) if page.x else 0
    titles = _TITLE_LINES * in_letters.title.line + (_PAGE_LINES * in_letters.head.line if page.title else 0)
    foot = (_FOOT_LINES + 2) * in_letters.text.line
    return 2 * MARGIN + LABEL + 14, 2 * MARGIN + titles + heads + foot + in_letters.text.line + 60


def lay(sheet: Image.Image, picture: Image.Image, place: tuple[int, int, int, int]) -> None:
    """Lay a picture in the middle of a place, given by its corner, width and height."""
    x, y, width, height = place
    fitted = resized(picture, fit(picture.size, (width, height)))
    left, top = x + (width - fitted.width) // 2, y + (height - fitted.height) // 2
    # A hairline, or a white picture melts into the paper.
    frame = (left - 1, top - 1, left + fitted.width, top + fitted.height)
    ImageDraw.Draw(sheet).rectangle(frame, outline=_EDGE)
    sheet.paste(fitted, (left, top))


def fit(size: tuple[int, int], cell: tuple[int, int]) -> tuple[int, int]:
    """Return width and height at which a picture of `size` fills a cell: whole times as large, or smaller."""
    if times := min(cell[0] // size[0], cell[1] // size[1]):
        return size[0] * times, size[1] * times
    scale = min(cell[0] / size[0], cell[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def resized(picture: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return a picture in another size. Enlarged pixels stay pixels: a comparison must not be smoothed."""
    larger = size[0] > picture.width
    return picture.resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)


def cell_of(sizes: Iterable[tuple[int, int]], asked: int | None = None, largest: int = LARGEST_CELL) -> tuple[int, int]:
    """Return width and height of a cell for pictures of these widths and heights.

    Args:
        sizes: In pixels; those that are not known are 0.
        asked: Pixels of the longer side, at most; None: so that the largest picture is not too small and not too large.
        largest: Pixels of the longer side where nothing is asked.
    """
    known = [size for size in sizes if min(size) > 0]
    width, height = (max(side) for side in zip(*known, strict=True)) if known else (SMALLEST_CELL, SMALLEST_CELL)
    longer = max(width, height)
    if asked:
        return fit((width, height), (asked, asked))
    scale = -(-SMALLEST_CELL // longer) if longer < SMALLEST_CELL else min(1.0, largest / longer)
    return max(1, round(width * scale)), max(1, round(height * scale))
