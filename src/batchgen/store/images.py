"""Pictures: pixels and record into PNG, and back with proof that they are the same.

A PNG without its last byte passes Pillow's `verify()`, so every check here decodes the whole picture. Text stands
before the pixels, where `info` has it without decoding them, and uncompressed: Pillow writes compressed text over 1 MiB
without a word and can then not open the file.
"""

import hashlib
import io
import stat
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngImageFile, PngInfo

from batchgen.engine import Pixels
from batchgen.errors import StoreError
from batchgen.store.content import content
from batchgen.store.record import Record, read

RECORD_KEY = "batchgen"
PARAMETERS_KEY = "parameters"

_END = b"\0\0\0\0IEND\xaeB`\x82"
"""The last chunk of every PNG: no content, its name, its checksum."""

MAX_PIXELS = 16384 * 16384
"""The largest canvas a job may have; a larger picture is nobody's that is opened here."""

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_SEEN = frozenset((b"IHDR", b"PLTE", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"IDAT", b"IEND"))
"""The chunks that say how a picture looks."""
_MOST_TEXT = 64 * 2**20
"""Bytes of everything but pixels. Two prompts of a million characters, each written as `\\u0000`, are 12 MB."""
_MOST_CHUNKS = 100_000
"""Pillow writes pixels in chunks of 64 KiB: the largest canvas, not compressed at all, has 12,300 of them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture that was read and decoded whole."""

    pixels: Pixels
    record: str
    """The text of the record; empty if there is none."""
    parameters: str
    """A1111's text; empty if there is none."""


def pixel_sha256(pixels: Pixels) -> str:
    """SHA-256 over `RGB <width>x<height>`, a line feed, and the bytes of the pixels row by row: 64 hex digits."""
    height, width, _ = pixels.shape
    digest = hashlib.sha256(f"RGB {width}x{height}\n".encode())
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def look(pixels: Pixels) -> Mapping[str, Any]:
    """Say what the record keeps of `pixels` (height x width x 3): hash, size, range, and whether all are one colour."""
    height, width, _ = pixels.shape
    return {
        "pixel_sha256": pixel_sha256(pixels),
        "width": width,
        "height": height,
        "finite": True,  # An engine refuses to turn anything else into bytes; once they are bytes nobody can tell.
        "min": int(pixels.min()),
        "max": int(pixels.max()),
        "mean": round(float(pixels.mean()), 4),
        "single_colour": bool((pixels == pixels[0, 0]).all()),
    }


def encode(pixels: Pixels, record: str, parameters: str, compression: int) -> bytes:
    """Return `pixels` as a PNG with both texts in front.

    Args:
        pixels: Height x width x 3.
        record: Text of the record.
        parameters: A1111's text.
        compression: zlib's level, 0 to 9. With the zlib-ng in Pillow's wheels 4 is as small as 9 (1.7 MiB for a picture
            of 1024x1024), 1 takes half the time for an eighth more.
    """
    info = PngInfo()
    # PNG allows no zero byte in text. Latin-1 goes into tEXt, where every reader looks; Pillow takes iTXt for the rest.
    info.add_text(PARAMETERS_KEY, parameters.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    info.add_itxt(RECORD_KEY, record, zip=False)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", pnginfo=info, compress_level=compression)
    return buffer.getvalue()


def open_picture(path: Path) -> Picture:
    """Read and decode the picture at `path` whole.

    Raises:
        StoreError: it cannot be read or decoded to the end, or is no RGB PNG.
    """
    image = _opened(path)
    with image:
        # Pillow is content once it has all pixels, also without the file's last bytes.
        if not _ends_whole(path):
            raise StoreError("is torn: its last bytes are not the end of a PNG", where=str(path))
        try:
            image.load()
        except (OSError, ValueError, SyntaxError) as error:
            raise StoreError(f"cannot be decoded: {error}", where=str(path)) from error
        pixels = np.asarray(image)
        record, parameters = (str(image.info.get(key, "")) for key in (RECORD_KEY, PARAMETERS_KEY))
    return Picture(pixels=pixels, record=record, parameters=parameters)


def record_in(path: Path) -> Record:
    """Return the record in the picture at `path`; its pixels are not decoded.

    Raises:
        StoreError: there is none.
    """
    return embedded(path)[0]


def embedded(path: Path) -> tuple[Record, str]:
    """Return the record in the picture at `path` and its text, as `record_in` without a look at the pixels.

    Raises:
        StoreError: there is none.
    """
    with _opened(path) as image:
        text = image.info.get(RECORD_KEY)
    if text is None:
        raise StoreError("has no record of batchgen inside", where=str(path))
    return read(str(text), str(path)), str(text)


def validate(path: Path) -> tuple[Record, str]:
    """Return the record in the picture at `path` and its text, once the pixels have been decoded and agree with it.

    Raises:
        StoreError: the file is torn, altered, or none of ours.
    """
    picture = open_picture(path)
    record = read(picture.record, str(path))
    output = record.get("output")
    if not isinstance(output, dict) or output.get("pixel_sha256") != pixel_sha256(picture.pixels):
        raise StoreError("the pixels are not those that its record is of", where=str(path))
    return record, picture.record


def bare_picture(path: Path) -> bytes:
    """Return the file at `path` as `bare` does.

    Raises:
        StoreError: it cannot be read, or is torn.
    """
    try:
        return bare(content(path))
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror or error}", where=str(path)) from error
    except ValueError as error:
        raise StoreError(str(error), where=str(path)) from error


def bare(data: bytes) -> bytes:
    """Return the PNG in `data` without anything but what is to be seen. Its pixels are not packed anew.

    Raises:
        ValueError: it is no whole PNG.
    """
    return _SIGNATURE + b"".join(chunk for chunk in _chunks(data) if chunk[4:8] in _SEEN)


def _chunks(data: bytes) -> Iterator[bytes]:
    """Yield each chunk with its length and checksum; ValueError: there is a wrong one, or no end."""
    if not data.startswith(_SIGNATURE):
        raise ValueError("is no PNG")
    at, kind = len(_SIGNATURE), b""
    while kind != b"IEND":
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        chunk = data[at : at + 12 + length]
        if len(chunk) < 12 + length or zlib.crc32(chunk[4:-4]) != int.from_bytes(chunk[-4:], "big"):
            raise ValueError("is torn, or altered")
        yield chunk
        at += len(chunk)


def _refuse_bombs(path: Path) -> None:
    """Refuse what Pillow would read into memory, or wait for, before it looks at it. What is no PNG is left to it."""
    if not stat.S_ISREG(path.stat().st_mode):
        raise StoreError("is no file", where=str(path))
    with path.open("rb") as file:
        if file.read(len(_SIGNATURE)) != _SIGNATURE:
            return
        chunks = text = 0
        while len(start := file.read(8)) == 8:
            length, kind = int.from_bytes(start[:4], "big"), start[4:]
            chunks += 1
            text += 0 if kind == b"IDAT" else length
            if text > _MOST_TEXT or chunks > _MOST_CHUNKS:
                raise StoreError("has more beside its pixels than any picture of batchgen", where=str(path))
            if kind == b"acTL":
                raise StoreError("is an animation, and no picture of batchgen", where=str(path))
            file.seek(length + 4, io.SEEK_CUR)


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-len(_END), io.SEEK_END)
        return file.read() == _END


def _opened(path: Path) -> PngImageFile:
    try:
        _refuse_bombs(path)
    except OSError as error:
        raise StoreError(error.strerror or str(error), where=str(path)) from error
    # The reader of this one format, not Image.open: that judges pictures of 90 million pixels to be bombs.
    try:
        image = PngImageFile(path)
    except (OSError, ValueError, SyntaxError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or "is no PNG that can be read"
        raise StoreError(reason, where=str(path)) from error
    if image.mode != "RGB" or image.width * image.height > MAX_PIXELS:
        image.close()
        raise StoreError(f"is no RGB picture of at most {MAX_PIXELS} pixels", where=str(path))
    return image
