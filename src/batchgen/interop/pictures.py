"""The texts inside a PNG, JPEG or WebP: what other programs keep in pictures. No pixel is ever decoded.

Containers are walked chunk by chunk with a limit on everything, because a picture may be anybody's: a chunk's length is
believed only as far as the file goes, and a compressed text is inflated only up to a limit.
"""

import struct
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import BinaryIO, Final

from batchgen.interop.imported import Unreadable

SUFFIXES: Final = frozenset({".png", ".jpg", ".jpeg", ".webp"})

MAX_TEXT: Final = 16 * 2**20
"""Bytes of one text, inflated. The largest workflows have about one MiB."""
MAX_CHUNKS: Final = 200_000
"""A PNG of 16384x16384 in chunks of 8 KiB has as many."""

_PNG: Final = b"\x89PNG\r\n\x1a\n"
_USER_COMMENT: Final = 0x9286
_EXIF_FOLDER: Final = 0x8769
_LABELS: Final = ("prompt", "workflow")
"""ComfyUI's WebP has `prompt:{...}` under whatever tag was free."""
_TAGS: Final = frozenset({_USER_COMMENT, _EXIF_FOLDER, *range(0x0100, 0x0111)})
"""ComfyUI counts down from 0x0110. No other is looked at: thousands of entries may name the same megabytes."""
_ASCII, _UNDEFINED, _LONG = 2, 7, 4


def texts_in(path: Path) -> Mapping[str, str]:
    """Return the texts in a picture by their keys; A1111's Exif comment counts as `parameters`.

    Raises:
        Unreadable: no such file, or not a PNG, JPEG or WebP.
    """
    try:
        with path.open("rb") as file:
            start = file.read(12)
            file.seek(0)
            if start.startswith(_PNG):
                return MappingProxyType(_first(_png(file)))
            if start.startswith(b"\xff\xd8"):
                return MappingProxyType(_first(_jpeg(file)))
            if start.startswith(b"RIFF") and start[8:] == b"WEBP":
                return MappingProxyType(_first(_webp(file)))
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}", where=str(path)) from error
    raise Unreadable("is no PNG, JPEG or WebP", where=str(path))


def _first(found: Iterator[tuple[str, str]]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for key, text in found:
        texts.setdefault(key, text)
    return texts


def _png(file: BinaryIO) -> Iterator[tuple[str, str]]:
    file.seek(len(_PNG))
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        length, kind = struct.unpack(">I4s", head)
        if kind == b"IEND":
            return
        if kind in (b"tEXt", b"zTXt", b"iTXt", b"eXIf") and length <= MAX_TEXT:
            content = file.read(length)
            yield from _exif(content) if kind == b"eXIf" else _png_text(kind, content)
            file.seek(4, 1)
        else:
            file.seek(length + 4, 1)


def _png_text(kind: bytes, content: bytes) -> Iterator[tuple[str, str]]:
    keyword, _, rest = content.partition(b"\0")
    key = keyword.decode("latin-1")
    if kind == b"tEXt":
        yield key, rest.decode("latin-1")
    elif kind == b"zTXt":
        yield from ((key, text.decode("latin-1")) for text in _inflated(rest[1:]))
    elif len(rest) >= 2:
        compressed, body = rest[0], rest[2:].split(b"\0", 2)[-1]
        yield from ((key, text.decode("utf-8", "replace")) for text in (_inflated(body) if compressed else [body]))


def _inflated(data: bytes) -> Iterator[bytes]:
    """Yield the text if it is one, and not too long."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(data, MAX_TEXT)
    except zlib.error:
        return
    if stream.eof:
        yield text


def _jpeg(file: BinaryIO) -> Iterator[tuple[str, str]]:
    file.seek(2)
    for _ in range(MAX_CHUNKS):
        head = file.read(4)
        if len(head) < 4 or head[0] != 0xFF:
            return
        marker, length = head[1], struct.unpack(">H", head[2:])[0]
        if marker == 0xDA or length < 2:  # where the pixels begin
            return
        content = file.read(length - 2)
        if marker == 0xE1 and content.startswith(b"Exif\0\0"):
            yield from _exif(content[6:])


def _webp(file: BinaryIO) -> Iterator[tuple[str, str]]:
    file.seek(12)
    for _ in range(MAX_CHUNKS):
        head = file.read(8)
        if len(head) < 8:
            return
        kind, length = struct.unpack("<4sI", head)
        if kind == b"EXIF" and length <= MAX_TEXT:
            content = file.read(length)
            yield from _exif(content.removeprefix(b"Exif\0\0"))
            file.seek(length % 2, 1)
        else:
            file.seek(length + length % 2, 1)


def _exif(data: bytes) -> Iterator[tuple[str, str]]:
    """Yield the texts of Exif data: the comment as `parameters`, and what ComfyUI labels."""
    order = {b"II": "<", b"MM": ">"}.get(data[:2])
    if order is None:
        return
    try:
        entries = dict(_folder(data, order, struct.unpack_from(f"{order}I", data, 4)[0]))
        inside = entries.get(_EXIF_FOLDER, b"")
        if len(inside) == 4:
            entries |= dict(_folder(data, order, struct.unpack(f"{order}I", inside)[0]))
    except struct.error:
        return
    for tag, content in entries.items():
        if tag == _USER_COMMENT:
            yield "parameters", _comment(content)
        else:
            label, colon, text = content.rstrip(b"\0").decode("utf-8", "replace").partition(":")
            if colon and label.lower() in _LABELS:
                yield label.lower(), text


def _folder(data: bytes, order: str, at: int) -> Iterator[tuple[int, bytes]]:
    """Yield tag and content of the entries of one folder (IFD, TIFF 6.0 section 2) that may hold a text or a folder."""
    (count,) = struct.unpack_from(f"{order}H", data, at)
    for number in range(count):
        place = at + 2 + 12 * number
        tag, kind, length = struct.unpack_from(f"{order}HHI", data, place)
        if tag not in _TAGS:
            continue
        if kind == _LONG and length == 1:
            yield tag, data[place + 8 : place + 12]
        elif kind in (_ASCII, _UNDEFINED):
            (start,) = (place + 8,) if length <= 4 else struct.unpack_from(f"{order}I", data, place + 8)
            yield tag, data[start : start + length]


def _comment(content: bytes) -> str:
    """Return the text of an Exif UserComment, whose first eight bytes name its encoding.

    UTF-16 is written in either order by programs that all call it UNICODE; the right one has more of ASCII in it.
    """
    code, text = content[:8], content[8:]
    if code != b"UNICODE\0":
        return (text if code in (b"ASCII\0\0\0", bytes(8)) else content).rstrip(b"\0").decode("utf-8", "replace")
    text = text[: len(text) // 2 * 2]
    either = [text.decode(name, "replace") for name in ("utf-16-be", "utf-16-le")]
    return max(either, key=lambda each: sum(character < "\x80" for character in each)).strip("\0\ufeff")
