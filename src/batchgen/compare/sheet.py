"""Contact sheets: a page of pictures with the names of its rows and columns, drawn by Pillow.

A sheet shows what is there: a picture still to be made is a pale field that says so, an excluded combination is left
empty. Where one file would be over 64 megapixels, which many viewers refuse, the rows (and if a single row is too
wide, the columns) go on in the next file.
"""

import hashlib
import io
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont
from PIL.PngImagePlugin import PngInfo

from batchgen.compare.layout import Page, Shown
from batchgen.store.content import is_no_file
from batchgen.store.publish import said_plainly, write_atomic

MAX_PIXELS = 64_000_000
"""Of one file."""

SMALLEST_CELL, LARGEST_CELL = 160, 512
"""Pixels of a cell's longer side: small pictures are enlarged by a whole number, large ones are reduced to fit."""

_SHOWS = "batchgen-sheet"
"""Key of the text in a sheet's file that tells one content from another: pictures are known by their file names,
which end in the job's id."""

_DAMAGED = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)
"""What Pillow raises of a file that is no whole PNG, or of one that nobody could show."""

_GAP = 8
_MARGIN = 28
_LABEL_WIDTH = 190
_LINE = 20
_HEAD_LINES, _LABEL_LINES = 3, 8
_PAPER, _INK, _FAINT = (255, 255, 255), (28, 30, 34), (120, 124, 130)
_FIELD, _EDGE = (238, 239, 241), (222, 224, 228)

_Font = ImageFont.FreeTypeFont | ImageFont.ImageFont

Read = Callable[[Shown], Image.Image | None]
"""Returns what is to be seen in a place, or None where that cannot be read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Type:
    """The three sizes of letters on a sheet."""

    title: _Font
    head: _Font
    text: _Font


def write_sheets(page: Page, target: Path, *, title: str, footer: str) -> list[Path]:
    """Draw `page` into `target` (`....png`), or into `...-2.png` and so on where one file would be too large.

    Files are written beside their place and then renamed, so that a viewer never sees half a sheet. One that shows the
    same already stays as it is.

    Returns:
        The files, in reading order.

    Raises:
        TryLater: no room.
        StoreError: a file cannot be written.
    """
    cell = _cell_size(page)
    written = []
    for number, part in enumerate(parts(page, cell), start=1):
        path = target if number == 1 else target.with_stem(f"{target.stem}-{number}")
        said = hashlib.sha256(repr((part, cell, title, footer)).encode()).hexdigest()
        if shows(path) != said:
            save(draw(part, cell=cell, title=title, footer=footer), path, said)
        written.append(path)
    return written


def shows(path: Path) -> str | None:
    """Say what the sheet at `path` says that it shows; None where there is no sheet, or a link to one."""
    try:
        if path.is_symlink() or is_no_file(path):
            return None
        with Image.open(path, formats=("PNG",)) as sheet:
            return sheet.info.get(_SHOWS)
    except _DAMAGED:
        return None


def save(sheet: Image.Image, path: Path, said: str) -> None:
    """Write a sheet that says that it shows `said`; errors as `write_sheets`."""
    text = PngInfo()
    text.add_text(_SHOWS, said)
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG", compress_level=6, pnginfo=text)
    with said_plainly(path):
        write_atomic(path, buffer.getvalue(), path.parent)


def remove_others(folder: Path, written: list[Path]) -> None:
    """Remove the sheets in `folder` that show what is no longer asked for; files of other kinds stay."""
    for path in set(folder.glob("*.png")) - set(written):
        if shows(path) is not None:
            path.unlink()


def _read_picture(shown: Shown) -> Image.Image | None:
    return None if shown.picture is None else _read(shown.picture)


def draw(page: Page, *, cell: tuple[int, int], title: str, footer: str, read: Read = _read_picture) -> Image.Image:
    """Return the sheet as an RGB picture. `cell` is width and height of one field in pixels."""
    letters = _Type(title=_font(24), head=_font(15), text=_font(13))
    width, left = _width(page, cell)
    title_lines = [title, *wrap(page.title, letters.head, width - 2 * _MARGIN)] if page.title else [title]
    heads = [_shortened(wrap(name, letters.head, cell[0]), _HEAD_LINES) for name in page.columns]
    top = _MARGIN + 34 + 20 * (len(title_lines) - 1) + 40 + _LINE * max(len(head) for head in heads)
    height = top + len(page.rows) * (cell[1] + _GAP) + 14 + _MARGIN
    sheet = Image.new("RGB", (width, height), _PAPER)
    pen = ImageDraw.Draw(sheet)
    pen.text((_MARGIN, _MARGIN), title_lines[0], _INK, letters.title)
    for number, line in enumerate(title_lines[1:]):
        pen.text((_MARGIN, _MARGIN + 36 + 20 * number), line, _FAINT, letters.head)
    _draw_heads(pen, page, heads, letters, (left, top, cell[0]))
    for row, (name, shown) in enumerate(zip(page.rows, page.cells, strict=True)):
        y = top + row * (cell[1] + _GAP)
        if left > _MARGIN:
            _draw_label(pen, name, letters.head, (left - 14, y + cell[1] // 2))
        for column, each in enumerate(shown):
            picture = None if each is None else read(each)
            _draw_cell(sheet, each, picture, (left + column * (cell[0] + _GAP), y, *cell), letters.text)
    pen.text((_MARGIN, height - _MARGIN - 4), footer, _FAINT, letters.text)
    return sheet


def _width(page: Page, cell: tuple[int, int]) -> tuple[int, int]:
    """The sheet's width, and where its first column begins."""
    left = _MARGIN + (_LABEL_WIDTH if page.y else 0)
    return max(left + len(page.columns) * (cell[0] + _GAP) - _GAP + _MARGIN, 420), left


def _draw_heads(
    pen: ImageDraw.ImageDraw, page: Page, heads: list[list[str]], letters: _Type, place: tuple[int, int, int]
) -> None:
    left, top, width = place
    if page.y:
        pen.text((left - 14, top - 12), page.y, _FAINT, letters.text, anchor="rs")
    if not page.x:
        return
    above = top - 16 - _LINE * max(len(head) for head in heads)
    pen.text((left, above), page.x, _FAINT, letters.text, anchor="ls")
    for column, head in enumerate(heads):
        middle = left + column * (width + _GAP) + width // 2
        for number, line in enumerate(reversed(head)):
            pen.text((middle, top - 12 - _LINE * number), line, _INK, letters.head, anchor="ms")


def _shortened(lines: list[str], most: int) -> list[str]:
    """At most so many lines; what is left out is marked."""
    return lines if len(lines) <= most else [*lines[: most - 1], f"{lines[most - 1]} ..."]


def _draw_label(pen: ImageDraw.ImageDraw, name: str, font: _Font, place: tuple[int, int]) -> None:
    right, middle = place
    lines = _shortened(wrap(name, font, _LABEL_WIDTH - 20), _LABEL_LINES)
    for number, line in enumerate(lines):
        y = middle + 20 * number - 10 * (len(lines) - 1)
        pen.text((right, y), line, _INK, font, anchor="rm")


def _draw_cell(
    sheet: Image.Image,
    shown: Shown | None,
    picture: Image.Image | None,
    place: tuple[int, int, int, int],
    font: _Font,
) -> None:
    x, y, width, height = place
    pen = ImageDraw.Draw(sheet)
    if shown is None:
        pen.text((x + width // 2, y + height // 2), "-", _FAINT, font, anchor="mm")
        return
    if picture is None:
        pen.rectangle((x, y, x + width - 1, y + height - 1), fill=_FIELD)
        words = "not made yet" if shown.picture is None else "unreadable"
        pen.text((x + width // 2, y + height // 2), words, _FAINT, font, anchor="mm")
        return
    fitted = _fit(picture, (width, height))
    left, top = x + (width - fitted.width) // 2, y + (height - fitted.height) // 2
    # A hairline, or a white picture melts into the paper.
    pen.rectangle((left - 1, top - 1, left + fitted.width, top + fitted.height), outline=_EDGE)
    sheet.paste(fitted, (left, top))


def _read(path: Path) -> Image.Image | None:
    """The picture in RGB, or None where it is damaged: one torn file must not cost the others their sheet."""
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return picture.convert("RGB")
    except _DAMAGED:
        return None


def fit(size: tuple[int, int], cell: tuple[int, int]) -> tuple[int, int]:
    """Return width and height at which a picture of `size` fills a cell."""
    scale = min(cell[0] / size[0], cell[1] / size[1])
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _fit(picture: Image.Image, cell: tuple[int, int]) -> Image.Image:
    size = fit(picture.size, cell)
    # Enlarged pixels stay pixels: a comparison must not be smoothed. Reduced ones are averaged.
    larger = size[0] > picture.width
    return picture.resize(size, Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)


def _cell_size(page: Page) -> tuple[int, int]:
    """Width and height that hold the widest and the highest picture of the page."""
    pictures = [each.picture for row in page.cells for each in row if each and each.picture]
    return cell_of([size for path in pictures if (size := _size(path))])


def cell_of(sizes: Sequence[tuple[int, int]], largest: int = LARGEST_CELL) -> tuple[int, int]:
    """Return width and height of a cell for pictures of these widths and heights."""
    width, height = (max(side) for side in zip(*sizes, strict=True)) if sizes else (SMALLEST_CELL, SMALLEST_CELL)
    longer = max(width, height)
    scale = -(-SMALLEST_CELL // longer) if longer < SMALLEST_CELL else min(1.0, largest / longer)
    return max(1, round(width * scale)), max(1, round(height * scale))


def _size(path: Path) -> tuple[int, int] | None:
    try:
        with Image.open(path, formats=("PNG",)) as picture:
            return picture.size
    except _DAMAGED:
        return None


def parts(page: Page, cell: tuple[int, int], most: int | None = None) -> Iterator[Page]:
    """Cut `page` so that no part is over `most` pixels, or else `MAX_PIXELS`."""
    most = most or MAX_PIXELS
    overhead = 2 * _MARGIN + _LABEL_WIDTH + 200
    columns = max(1, (most // (cell[1] + overhead) - overhead) // (cell[0] + _GAP))
    width = min(len(page.columns), columns) * (cell[0] + _GAP) + overhead
    rows = max(1, (most // width - overhead) // (cell[1] + _GAP))
    for top, bottom in pairwise([*range(0, len(page.rows), rows), len(page.rows)]):
        for left, right in pairwise([*range(0, len(page.columns), columns), len(page.columns)]):
            yield Page(
                title=page.title,
                x=page.x,
                y=page.y,
                columns=page.columns[left:right],
                rows=page.rows[top:bottom],
                cells=tuple(row[left:right] for row in page.cells[top:bottom]),
            )


def wrap(text: str, font: _Font, width: int) -> list[str]:
    """Break `text` into lines of at most `width` pixels, between words where that is possible."""
    lines, line = [], ""
    for word in text.split():
        if font.getlength(f"{line} {word}".strip()) <= width:
            line = f"{line} {word}".strip()
            continue
        if line:
            lines.append(line)
        line = word
        while font.getlength(line) > width and len(line) > 1:
            cut = max(1, int(len(line) * width / font.getlength(line)))
            lines.append(line[:cut])
            line = line[cut:]
    return [*lines, line] if line or not lines else lines


def _font(size: int) -> _Font:
    return ImageFont.load_default(size)
