"""Thumbnails: a small WebP of each picture, made once; of a clip all its frames in one, so that it can play anywhere.

They are called after the pixels that they show. So none is ever stale, and equal pictures share one.
"""

import base64
import io
import os
import re
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from PIL import Image

from batchgen.compare.results import Result
from batchgen.errors import BatchgenError
from batchgen.store import media
from batchgen.store.publish import said_plainly

T = TypeVar("T")

SUFFIX = ".webp"

MOST_FRAMES = 81
"""Of a film. A longer clip is shown by so many of its frames, evenly drawn."""

_OURS = re.compile(r"[0-9a-f]{16}\.webp")

_DIGITS = 16
"""Of the hash of pixels, in a name: among 10^6 pictures two share one with a chance of 1 in 37 million."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """How large thumbnails are, and how good."""

    largest: int
    """Pixels of the longer side of a picture."""
    largest_film: int
    """Pixels of the longer side of each frame of a clip."""
    quality: int
    """WebP's, 0 to 100."""


USUAL = Look(largest=256, largest_film=160, quality=82)
SMALL = Look(largest=128, largest_film=64, quality=60)
"""For galleries that hold nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """How the frames of a clip stand in its thumbnail: row by row, the first at the top left."""

    columns: int
    rows: int
    frames: int
    seconds: float
    """From the first frame to the end of the last."""
    fps: float
    """Frames of the film a second."""


def film_of(result: Result) -> Film | None:
    """Return how the frames of a clip stand in its thumbnail; None for a picture."""
    if result.frames < 2:
        return None
    frames = min(result.frames, MOST_FRAMES)
    # As near to a square as may be: browsers refuse pictures of more than 16384 pixels on a side.
    columns = next(each for each in range(1, frames + 1) if each * each >= frames)
    seconds = result.frames / result.fps
    return Film(columns=columns, rows=-(-frames // columns), frames=frames, seconds=seconds, fps=frames / seconds)


def file_name(result: Result) -> str:
    """Return what the thumbnail of a result is called."""
    return f"{result.pixel_sha256[:_DIGITS]}{SUFFIX}"


def keep_thumbnails(results: Iterable[Result], folder: Path) -> frozenset[str]:
    """Make the thumbnails in `folder` that are not there, remove what shows none of `results`, and say which there are.

    Raises:
        TryLater: no room.
        StoreError: the folder cannot be written.
    """
    with said_plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
        there = {entry.name for entry in os.scandir(folder) if entry.stat().st_size}
        shown = _unique(results)
        made = _each({name: each for name, each in shown.items() if name not in there}, folder)
        for name in there - shown.keys():
            if _OURS.fullmatch(name):
                (folder / name).unlink(missing_ok=True)
    return frozenset(there & shown.keys()) | made


def embedded_thumbnails(results: Iterable[Result]) -> Mapping[str, str]:
    """Return small thumbnails as `data:` addresses, by their names; pictures that cannot be decoded have none."""

    def address(result: Result) -> str | None:
        data = thumbnail(result, SMALL)
        return None if data is None else f"data:image/webp;base64,{base64.b64encode(data).decode()}"

    return {name: text for name, text in _in_threads(address, _unique(results)) if text is not None}


def thumbnail(result: Result, look: Look) -> bytes | None:
    """Return the thumbnail of a result as WebP; None where its picture cannot be decoded to the end."""
    film = film_of(result)
    try:
        if result.picture is None:
            return None
        frames = (Image.fromarray(frame) for frame in media.frames(result.picture))
        shown = _reduced(next(frames), look.largest) if film is None else _laid_out(frames, result, film, look)
    except (BatchgenError, OSError, StopIteration):
        return None
    buffer = io.BytesIO()
    shown.save(buffer, "WEBP", quality=look.quality, method=4)
    return buffer.getvalue()


def _unique(results: Iterable[Result]) -> dict[str, Result]:
    return {file_name(each): each for each in results if each.picture is not None and each.pixel_sha256}


def _each(missing: Mapping[str, Result], folder: Path) -> frozenset[str]:
    def write(result: Result) -> bool:
        data = thumbnail(result, USUAL)
        if data is None:
            return False
        # Not synced: it can be made again, and one of no length counts as none.
        fresh = folder / f"{os.getpid()}-{file_name(result)}.part"
        fresh.write_bytes(data)
        fresh.replace(folder / file_name(result))
        return True

    return frozenset(name for name, made in _in_threads(write, missing) if made)


def _in_threads(work: Callable[[Result], T], results: Mapping[str, Result]) -> list[tuple[str, T]]:
    # Decoding and encoding let go of the interpreter.
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(zip(results, pool.map(work, results.values()), strict=True))


def _reduced(picture: Image.Image, largest: int) -> Image.Image:
    """Return a picture of at most so many pixels on its longer side; a small one as it is."""
    scale = largest / max(picture.size)
    if scale >= 1:
        return picture
    size = max(1, round(picture.width * scale)), max(1, round(picture.height * scale))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _laid_out(frames: Iterable[Image.Image], result: Result, film: Film, look: Look) -> Image.Image:
    """Return the frames of a clip, row by row."""
    chosen = {number * result.frames // film.frames: number for number in range(film.frames)}
    sheet: Image.Image | None = None
    for number, frame in enumerate(frames):
        if (place := chosen.get(number)) is None:
            continue
        tile = _reduced(frame, look.largest_film)
        sheet = sheet or Image.new("RGB", (film.columns * tile.width, film.rows * tile.height))
        sheet.paste(tile, (place % film.columns * tile.width, place // film.columns * tile.height))
    if sheet is None:
        raise StopIteration
    return sheet
