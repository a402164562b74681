"""Sheets of clips: all of a page playing side by side as one MP4, and their frames in rows as a PNG.

Both are drawn as every other sheet is; what is new is that a place may show one frame or another.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from batchgen.compare.layout import SEPARATOR, Page, Shown
from batchgen.compare.printing import Imprint, save, shows
from batchgen.compare.sheet import Drawing, Letters, Sheet, fit, resized
from batchgen.engine import Pixels
from batchgen.errors import BatchgenError, StoreError
from batchgen.store import ffmpeg, media
from batchgen.store.content import is_no_file
from batchgen.store.ffmpeg import H264
from batchgen.store.film import Film
from batchgen.store.publish import said_plainly, write_atomic

SUFFIX: Final = ".mp4"

LARGEST_CELL: Final = 256
"""Pixels of a cell's longer side where nothing else is asked for."""

MOST_CELL: Final = 1024
"""Pixels of a cell's longer side, whatever is asked for: a single one must be playable."""

MAX_PIXELS, MAX_SIDE = 4_000_000, 4096
"""Of a video. Many players show no more than 4096 x 2304."""

MOST_FRAMES: Final = 9
"""Of a clip, in a row."""

_QUALITY: Final = 80
_SHOWS: Final = "batchgen-sheet "
"""What the text in a sheet's MP4 begins with; the rest of the line tells one content from another."""


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


def write(sheet: Sheet, in_letters: Letters | None = None) -> None:
    """Draw a sheet of clips, a video or its frames in rows, and write it, unless it is there and shows the same.

    Raises:
        TryLater: no room.
        StoreError: it cannot be written.
    """
    imprint = sheet.imprint
    if (shown_by(sheet.path) if sheet.path.suffix == SUFFIX else shows(sheet.path)) == imprint.said:
        return
    films = {path: film for shown in _clips(sheet.page) if (path := shown.picture) and (film := _film(shown))}
    with ExitStack() as stack:
        found = ((path, stack.enter_context(_reel(path, film, sheet))) for path, film in films.items())
        showing = _Showing(Drawing(sheet, in_letters), {path: reel for path, reel in found if reel})
        if sheet.path.suffix == SUFFIX:
            _encode(showing.video(), sheet.path, imprint)
        else:
            save(showing.at(None), sheet.path, imprint)


def can_encode() -> bool:
    """Say whether there is an ffmpeg; without one there are no videos."""
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
    first = text.partition("\n")[0] if text else ""
    return first.removeprefix(_SHOWS) if first.startswith(_SHOWS) else None


def remove_other_videos(folder: Path, written: Iterable[Path]) -> None:
    """Remove the videos in `folder` that are sheets which are no longer asked for; others stay."""
    for path in set(folder.glob(f"*{SUFFIX}")) - set(written):
        if shown_by(path) is not None:
            path.unlink()


def in_rows(page: Page) -> Page:
    """Return the page that shows each clip of `page` in a row, at moments that are the same for all."""
    films = [film for shown in _clips(page) if (film := _film(shown))]
    last = max(((film.frames - 1) / film.fps for film in films), default=0.0)
    count = min(MOST_FRAMES, max((film.frames for film in films), default=1))
    moments = [last * number / max(1, count - 1) for number in range(count)]
    named = [
        (shown.caption or _joined([row, column]), shown)
        for row, shown_there in zip(page.rows, page.cells, strict=True)
        for column, shown in zip(page.columns, shown_there, strict=False)
        if shown is not None
    ]
    return Page(
        title=page.title,
        x="seconds",
        y=_joined([page.y, page.x]) or ("clip" if len(named) > 1 else None),
        columns=tuple(f"{moment:.2f}" for moment in moments),
        rows=tuple(name for name, _ in named),
        cells=tuple(tuple(replace(shown, second=moment, caption="") for moment in moments) for _, shown in named),
    )


def _joined(names: Iterable[str | None]) -> str:
    return SEPARATOR.join(name for name in names if name)


def _clips(page: Page) -> Iterator[Shown]:
    """Yield what of a page has a file."""
    for row in page.cells:
        yield from (each for each in row if each and each.picture)


def _film(shown: Shown) -> Film | None:
    """Return the measures of a clip or picture; None where its record tells none that can be."""
    said = {"frames": shown.frames, "width": shown.width, "height": shown.height, "fps": shown.fps}
    try:
        return Film.told(said, str(shown.picture))
    except StoreError:
        return None


@contextmanager
def _reel(path: Path, film: Film, sheet: Sheet) -> Iterator[_Reel | None]:
    size = fit((film.width, film.height), sheet.cell)
    with TemporaryFile(dir=sheet.path.parent) as file:
        frames: NDArray[np.uint8] = np.memmap(file, np.uint8, "w+", shape=(film.frames, size[1], size[0], 3))
        read = 0
        with suppress(BatchgenError):  # one torn file must not cost the others their sheet
            for frame, place in zip(media.frames(path), frames, strict=False):
                place[:] = np.asarray(resized(Image.fromarray(frame), size))
                read += 1
        yield _Reel(frames=frames, fps=film.fps) if read == film.frames else None


class _Showing:
    """A drawing with clips laid into it, at one moment or another."""

    def __init__(self, drawing: Drawing, reels: Mapping[Path, _Reel]) -> None:
        self._drawing, self._reels = drawing, reels

    def video(self) -> "tuple[Film, Iterator[Pixels]]":
        """Return the measures and frames of all of them playing, until the longest is over."""
        reels = self._reels.values()
        fps = max((reel.fps for reel in reels), default=1.0)
        longest = max((len(reel.frames) / reel.fps for reel in reels), default=1.0)
        count = max(1, round(longest * fps))
        height, width, _ = _even(self.at(0.0)).shape
        drawn = (_even(self.at(number / fps)) for number in range(count))
        return Film(frames=count, height=height, width=width, fps=fps), drawn

    def at(self, second: float | None) -> Image.Image:
        """Return what is to be seen at a time; None: each at the moment that its place is for."""

        def read(shown: Shown) -> Image.Image | None:
            reel = self._reels.get(shown.picture) if shown.picture else None
            return None if reel is None else reel.at((shown.second or 0.0) if second is None else second)

        return self._drawing.with_pictures(read)


def _even(sheet: Image.Image) -> Pixels:
    """Return a sheet with even sides, as H.264 wants them: a line of paper more."""
    pixels = np.asarray(sheet)
    return np.pad(pixels, ((0, sheet.height % 2), (0, sheet.width % 2), (0, 0)), constant_values=255)


def _encode(video: "tuple[Film, Iterator[Pixels]]", path: Path, imprint: Imprint) -> None:
    text = f"{_SHOWS}{imprint.said}\n{imprint.title}\n{imprint.description}"
    with said_plainly(path), TemporaryDirectory(dir=path.parent) as folder:
        raw, whole = Path(folder) / "raw.mp4", Path(folder) / "whole.mp4"
        ffmpeg.encode(video[1], video[0], H264, _QUALITY, raw)
        ffmpeg.with_text(raw, whole, text, H264)
        write_atomic(path, whole.read_bytes(), path.parent)
