"""Sheets of clips: all of a page playing side by side as one MP4, and their frames in rows as a PNG.

Both are drawn as every other sheet is; what is new is that a place may show one frame or another.
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from batchgen.compare.layout import Page, Shown
from batchgen.compare.sheet import cell_of, draw, fit, parts, save, shows
from batchgen.engine import Pixels
from batchgen.errors import BatchgenError
from batchgen.store import ffmpeg, media
from batchgen.store.content import is_no_file
from batchgen.store.ffmpeg import H264
from batchgen.store.film import Film
from batchgen.store.publish import said_plainly, write_atomic

LARGEST_CELL = 256
"""Pixels of a cell's longer side."""

MAX_PIXELS = 4_000_000
"""Of a video. Many players show no more than 4096 x 2304."""

MOST_FRAMES = 9
"""Of a clip, in a row."""

_QUALITY = 80
_SHOWS = "batchgen-sheet "
"""What the text in a sheet's MP4 begins with; the rest tells one content from another."""

_MOMENT = "second"
"""The coordinate that a place in a row of frames has beside those of its clip."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reel:
    """The frames of a clip, as large as a cell; a picture has one, and a second."""

    frames: NDArray[np.uint8]
    """Frames x height x width x 3, in a file without a name: a page of clips may be larger than the memory."""
    fps: float

    def at(self, second: float) -> Image.Image:
        """Return what is to be seen at a time; after the end, the last frame."""
        number = min(int(second * self.fps + 1e-6), len(self.frames) - 1)
        return Image.fromarray(self.frames[number])


def write_clip_sheets(page: Page, target: Path, *, title: str, footer: str) -> list[Path]:
    """Draw `page` as `....mp4`, and its frames as `....png`; further files where one would be too large.

    What shows the same already stays as it is. Without ffmpeg there is no video.

    Args:
        page: What stands where.
        target: A file of that name, whatever its suffix.
        title: Stands at the head of every sheet.
        footer: Stands below.

    Returns:
        The files, in reading order.

    Raises:
        TryLater: no room.
        StoreError: a file cannot be written.
    """
    films = {path: film for path in _clips(page) if (film := _measured(path))}
    cell = cell_of([(film.width, film.height) for film in films.values()], LARGEST_CELL)
    drawing = _Drawing(films, cell, title, footer)
    written: list[Path] = []
    videos = [(".mp4", page, MAX_PIXELS)] if _can_encode() else []
    for kind, whole, most in (*videos, (".png", _in_rows(page, films), None)):
        for number, part in enumerate(parts(whole, cell, *([most] if most else [])), start=1):
            path = target.with_name(f"{target.stem}{'' if number == 1 else f'-{number}'}{kind}")
            drawing.write(part, path)
            written.append(path)
    return written


def _can_encode() -> bool:
    try:
        return bool(ffmpeg.version())
    except BatchgenError:
        return False


def shown_by(path: Path) -> str | None:
    """Say what the sheet at `path`, an MP4, says that it shows; None where there is no sheet, or a link to one."""
    if path.is_symlink() or is_no_file(path) or not path.exists():
        return None
    try:
        text = ffmpeg.text_in(path, H264)
    except BatchgenError:
        return None
    return text.removeprefix(_SHOWS) if text and text.startswith(_SHOWS) else None


class _Drawing:
    """What the sheets of a page have in common."""

    def __init__(self, films: Mapping[Path, Film], cell: tuple[int, int], title: str, footer: str) -> None:
        self._films, self._cell, self._title, self._footer = films, cell, title, footer

    def write(self, part: Page, path: Path) -> None:
        """Draw one file, unless it is there."""
        said = hashlib.sha256(repr((part, self._cell, self._title, self._footer)).encode()).hexdigest()
        if (shown_by(path) if path.suffix == ".mp4" else shows(path)) == said:
            return
        with ExitStack() as stack:
            paths = [each for each in _clips(part) if each in self._films]
            found = ((each, stack.enter_context(self._reel(each, path.parent))) for each in paths)
            reels = {each: reel for each, reel in found if reel}
            if path.suffix == ".mp4":
                _encode(self._video(part, reels), path, said)
            else:
                save(self._drawn(part, reels, None), path, said)

    @contextmanager
    def _reel(self, path: Path, folder: Path) -> Iterator[_Reel | None]:
        film = self._films[path]
        size = fit((film.width, film.height), self._cell)
        with TemporaryFile(dir=folder) as file:
            frames: NDArray[np.uint8] = np.memmap(file, np.uint8, "w+", shape=(film.frames, size[1], size[0], 3))
            try:
                for number, frame in enumerate(media.frames(path)):
                    frames[number] = np.asarray(_resized(Image.fromarray(frame), size))
                whole = True
            except BatchgenError:  # one torn file must not cost the others their sheet
                whole = False
            yield _Reel(frames=frames, fps=film.fps) if whole else None

    def _video(self, part: Page, reels: Mapping[Path, _Reel]) -> "tuple[Film, Iterator[Pixels]]":
        fps = max((reel.fps for reel in reels.values()), default=1.0)
        longest = max((len(reel.frames) / reel.fps for reel in reels.values()), default=1.0)
        count = max(1, round(longest * fps))
        first = _even(self._drawn(part, reels, 0.0))
        drawn = (_even(self._drawn(part, reels, number / fps)) for number in range(count))
        return Film(frames=count, height=first.shape[0], width=first.shape[1], fps=fps), drawn

    def _drawn(self, part: Page, reels: Mapping[Path, _Reel], second: float | None) -> Image.Image:
        def read(shown: Shown) -> Image.Image | None:
            reel = reels.get(shown.picture) if shown.picture else None
            return None if reel is None else reel.at(shown.coordinates[_MOMENT] if second is None else second)

        return draw(part, cell=self._cell, title=self._title, footer=self._footer, read=read)


def _clips(page: Page) -> list[Path]:
    return [each.picture for row in page.cells for each in row if each and each.picture]


def _measured(path: Path) -> Film | None:
    """Return the measures of a clip or picture; None where its record cannot be read."""
    try:
        output = dict(media.record_in(path)["output"])
        return Film.told(output if media.is_clip(path) else output | {"frames": 1, "fps": 1}, str(path))
    except (BatchgenError, LookupError, TypeError, ValueError):
        return None


def _in_rows(page: Page, films: Mapping[Path, Film]) -> Page:
    """Return the page that shows each clip of `page` in a row, at moments that are the same for all."""
    last = max(((film.frames - 1) / film.fps for film in films.values()), default=0.0)
    count = min(MOST_FRAMES, max((film.frames for film in films.values()), default=1))
    moments = [last * number / max(1, count - 1) for number in range(count)]
    named = [
        (_joined([row, column]), shown)
        for row, shown_there in zip(page.rows, page.cells, strict=True)
        for column, shown in zip(page.columns, shown_there, strict=True)
        if shown is not None
    ]
    return Page(
        title=page.title,
        x="seconds",
        y=_joined([page.y, page.x]) or None,
        columns=tuple(f"{moment:.2f}" for moment in moments),
        rows=tuple(name for name, _ in named),
        cells=tuple(
            tuple(replace(shown, coordinates={**shown.coordinates, _MOMENT: moment}) for moment in moments)
            for _, shown in named
        ),
    )


def _joined(names: Iterable[str | None]) -> str:
    return " · ".join(name for name in names if name)


def _resized(frame: Image.Image, size: Sequence[int]) -> Image.Image:
    larger = size[0] > frame.width
    return frame.resize((size[0], size[1]), Image.Resampling.NEAREST if larger else Image.Resampling.LANCZOS)


def _even(sheet: Image.Image) -> Pixels:
    """Return a sheet with even sides, as H.264 wants them: a line of paper more."""
    pixels = np.asarray(sheet)
    return np.pad(pixels, ((0, sheet.height % 2), (0, sheet.width % 2), (0, 0)), constant_values=255)


def _encode(video: "tuple[Film, Iterator[Pixels]]", path: Path, said: str) -> None:
    with said_plainly(path), TemporaryDirectory(dir=path.parent) as folder:
        raw, whole = Path(folder) / "raw.mp4", Path(folder) / "whole.mp4"
        ffmpeg.encode(video[1], video[0], H264, _QUALITY, raw)
        ffmpeg.with_text(raw, whole, f"{_SHOWS}{said}", H264)
        write_atomic(path, whole.read_bytes(), path.parent)
