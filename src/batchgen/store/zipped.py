"""Frames as they are: a ZIP of PNG files, not compressed twice, with the record as `record.json`.

One file and no folder, because a file can be linked into place whole, and its size and hash say whether it still is.
"""

import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile

from batchgen.engine import Pixels, frame_name
from batchgen.errors import StoreError
from batchgen.store.content import is_no_file
from batchgen.store.film import Film
from batchgen.store.images import bare
from batchgen.store.record import LARGEST

RECORD = "record.json"

_DAMAGED = (OSError, ValueError, SyntaxError, KeyError, NotImplementedError, RuntimeError, EOFError, zipfile.BadZipFile)


def write(pixels: Pixels, compression: int, target: Path) -> None:
    """Write `pixels` (frames x height x width x 3) as a new file, PNG packed at zlib's level `compression`."""
    with zipfile.ZipFile(target, "x") as archive:
        for number, frame in enumerate(pixels, start=1):
            buffer = io.BytesIO()
            Image.fromarray(frame).save(buffer, "PNG", compress_level=compression)
            archive.writestr(zipfile.ZipInfo(frame_name(number)), buffer.getvalue())


def with_text(source: Path, target: Path, text: str) -> None:
    """Write the frames of `source` as a new file with the record's text in front of them."""
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(target, "x") as new:
        new.writestr(zipfile.ZipInfo(RECORD), text.encode())
        for entry in old.infolist():
            new.writestr(entry, old.read(entry))


def without_text(source: Path, target: Path) -> None:
    """Write the frames of `source` as a new file, and nothing else."""
    with zipfile.ZipFile(target, "x") as new:
        for name, frame in _bare(source):
            new.writestr(zipfile.ZipInfo(name), frame)


def _bare(path: Path) -> Iterator[tuple[str, bytes]]:
    with _opened(path) as archive:
        for name in (name for name in archive.namelist() if name != RECORD):
            yield name, bare(_content(archive, name, LARGEST))


def text_in(path: Path) -> str | None:
    """Return the record's text; None if there is none. StoreError: it is no ZIP, or the text is too large."""
    with _opened(path) as archive:
        if RECORD not in archive.namelist():
            return None
        return _content(archive, RECORD, LARGEST).decode(errors="replace")


def frames(path: Path, film: Film) -> Iterator[Pixels]:
    """Yield the frames, height x width x 3.

    Raises:
        StoreError: one is missing, too many, damaged, or of another size.
    """
    names = [frame_name(number) for number in range(1, film.frames + 1)]
    with _opened(path) as archive:
        if sorted(name for name in archive.namelist() if name != RECORD) != names:
            raise StoreError(f"does not hold {film.frames} frames and nothing else", where=str(path))
        for name in names:
            data = _content(archive, name, film.width * film.height * 4 + (1 << 20))
            with PngImageFile(io.BytesIO(data)) as image:
                if image.size != (film.width, film.height) or image.mode != "RGB":
                    raise StoreError(f"its frame {name} is of another size or kind", where=str(path))
                yield np.asarray(image)


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        if is_no_file(path):
            raise StoreError("is no file", where=str(path))
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _DAMAGED as error:
        raise StoreError(f"is no ZIP of frames that can be read: {error}", where=str(path)) from error


def _content(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    entry = archive.getinfo(name)
    if entry.compress_type != zipfile.ZIP_STORED or entry.file_size > most:
        message = f"{name} is compressed, or too large"
        raise ValueError(message)
    return archive.read(entry)
