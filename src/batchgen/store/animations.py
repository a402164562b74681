"""GIF and animated WebP, by Pillow: frames into a file and back, with the record's text inside.

Both merge frames that are equal into one that is shown longer. So frames are counted by the time they are shown at, and
a clip in which nothing moves for a while has all of its frames here, too.
"""

import io
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from PIL.GifImagePlugin import GifImageFile
from PIL.WebPImagePlugin import WebPImageFile

from batchgen.engine import Pixels
from batchgen.errors import StoreError
from batchgen.store.content import content
from batchgen.store.film import Film
from batchgen.store.publish import write_new

LOSSLESS = 100
"""The quality at which WebP keeps every pixel."""

_TRAILER = b";"
_COMMENT = b"!\xfe"
"""What a comment begins with, GIF89a section 24."""
_IMAGE = 0x2C
"""What an image begins with, section 20."""
_HAS_XMP, _HAS_EXIF = 0x04, 0x08
"""The flags of the chunk VP8X that there is a chunk `XMP ` or `EXIF`, RFC 9649."""
_TEXTS = b"XMP ", b"EXIF"

_BEFORE = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
_XMP = f'{_BEFORE}<rdf:Description rdf:about="" xmlns:batchgen="urn:batchgen"><batchgen:record>'
_AFTER = "</batchgen:record></rdf:Description></rdf:RDF></x:xmpmeta>"
_RECORD = re.compile(r"<batchgen:record>(.*?)</batchgen:record>", re.DOTALL)
_ENTITIES = (("&", "&amp;"), ("<", "&lt;"), (">", "&gt;"))

_DAMAGED = (OSError, ValueError, SyntaxError, EOFError, KeyError, IndexError, Image.DecompressionBombError)


def write_gif(pixels: Pixels, film: Film, target: Path) -> None:
    """Write a new GIF: each frame with the 256 colours that suit it best, the rest dithered."""
    frames = [_dithered(Image.fromarray(frame)) for frame in pixels]
    lengths = [10 * hundredths for hundredths in _lengths(film, 100)]
    buffer = io.BytesIO()
    frames[0].save(
        buffer, "GIF", save_all=True, append_images=frames[1:], duration=lengths, loop=0, optimize=False, disposal=1
    )
    write_new(target, buffer.getvalue())


def write_webp(pixels: Pixels, film: Film, quality: int, target: Path) -> None:
    """Write a new animated WebP; at quality 100 without loss."""
    frames = [Image.fromarray(frame) for frame in pixels]
    buffer = io.BytesIO()
    frames[0].save(
        buffer,
        "WEBP",
        save_all=True,
        append_images=frames[1:],
        duration=_lengths(film, 1000),
        loop=0,
        quality=quality,
        lossless=quality == LOSSLESS,
        exact=True,
    )
    write_new(target, buffer.getvalue())


def _dithered(frame: Image.Image) -> Image.Image:
    if frame.getcolors(256) is None:
        table = frame.quantize(256, Image.Quantize.MEDIANCUT)
        return frame.quantize(palette=table, dither=Image.Dither.FLOYDSTEINBERG)
    # So few that each is kept; Pillow's search for the nearest in a table would be content with a near one.
    colours, places = np.unique(np.asarray(frame).reshape(-1, 3), axis=0, return_inverse=True)
    exact = Image.fromarray(places.reshape(frame.height, frame.width).astype(np.uint8), "P")
    exact.putpalette(colours.tobytes())
    return exact


def _lengths(film: Film, unit: int) -> list[int]:
    ends = film.ends(unit)
    return [end - begin for begin, end in zip([0, *ends], ends, strict=False)]


def gif_with_text(source: Path, target: Path, text: str) -> None:
    """Write the GIF `source` as a new file with `text` in a comment."""
    data, record = source.read_bytes(), text.encode()
    begin = 13 + _colours(data[10])  # behind the header and the colours for all frames
    blocks = (record[at : at + 255] for at in range(0, len(record), 255))
    comment = _COMMENT + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0"
    write_new(target, data[:begin] + comment + data[begin:])


def webp_with_text(source: Path, target: Path, text: str) -> None:
    """Write the WebP `source` as a new file with `text` in a chunk `XMP `."""
    data = bytearray(source.read_bytes())
    if data[12:16] != b"VP8X":  # a clip in which nothing moves has become a picture, which may do without that chunk
        with _opened(source) as image:
            sides = b"".join((side - 1).to_bytes(3, "little") for side in image.size)
        data[12:12] = b"VP8X" + (10).to_bytes(4, "little") + bytes(4) + sides
    for plain, entity in _ENTITIES:
        text = text.replace(plain, entity)
    packet = f"{_XMP}{text}{_AFTER}".encode()
    data[20] |= _HAS_XMP
    data += b"XMP " + len(packet).to_bytes(4, "little") + packet + b"\0" * (len(packet) % 2)
    data[4:8] = (len(data) - 8).to_bytes(4, "little")
    write_new(target, bytes(data))


def gif_without_text(source: Path, target: Path) -> None:
    """Write the GIF `source` as a new file without comments. StoreError: it is none that can be read."""
    data = content(source)
    try:
        kept = b"".join(part for part in _gif_parts(data) if not part.startswith(_COMMENT))
    except IndexError as error:
        raise StoreError("is no gif that can be read", where=str(source)) from error
    write_new(target, kept)


def _gif_parts(data: bytes) -> Iterator[bytes]:
    """Yield header and blocks of a GIF89a, sections 17 to 27; IndexError: it ends in the middle of one."""
    begin, end = 0, 13 + _colours(data[10])
    while data[begin : begin + 1] != _TRAILER:
        yield data[begin:end]
        begin, end = end, end + 2  # an extension: what it begins with, and of which kind it is
        if data[begin] == _IMAGE:
            end = begin + 11 + _colours(data[begin + 9])
        while data[begin] != _TRAILER[0] and data[end]:
            end += data[end] + 1
        end += 1
    yield _TRAILER


def _colours(flags: int) -> int:
    """Return how many bytes a table of colours has, by the flags before it."""
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def webp_without_text(source: Path, target: Path) -> None:
    """Write the WebP `source` as a new file without chunks of texts. StoreError: it is none that can be read."""
    data = content(source)
    kept, at = bytearray(data[:12]), 12
    while at < len(data):
        end = at + 8 + int.from_bytes(data[at + 4 : at + 8], "little")
        end += end % 2
        if end > len(data):
            raise StoreError("is torn", where=str(source))
        kept += b"" if data[at : at + 4] in _TEXTS else data[at:end]
        at = end
    if kept[12:16] == b"VP8X":
        kept[20] &= ~(_HAS_XMP | _HAS_EXIF)
    kept[4:8] = (len(kept) - 8).to_bytes(4, "little")
    write_new(target, bytes(kept))


def gif_text(path: Path) -> str | None:
    """Return the text in a GIF's comment; None if there is none. StoreError: it is no GIF."""
    with _opened(path) as image:
        text = image.info.get("comment")
    return text.decode(errors="replace") if isinstance(text, bytes) else None


def webp_text(path: Path) -> str | None:
    """Return the record's text in a WebP; None if there is none. StoreError: it is no WebP."""
    with _opened(path) as image:
        packet = image.info.get("xmp")
    found = _RECORD.search(packet.decode(errors="replace")) if isinstance(packet, bytes) else None
    if found is None:
        return None
    text = found[1]
    for plain, entity in reversed(_ENTITIES):
        text = text.replace(entity, plain)
    return text


def frames(path: Path, film: Film) -> Iterator[Pixels]:
    """Yield every frame as it is shown, height x width x 3.

    Raises:
        StoreError: it cannot be decoded, or has not as many frames of that size and length.
    """
    unit = 100 if path.suffix == ".gif" else 1000
    ends = film.ends(unit)
    with _opened(path) as image:
        if image.size != (film.width, film.height):
            raise StoreError(f"has frames of {image.width}x{image.height}", where=str(path))
        shown = now = 0
        for number in range(film.frames):
            try:
                image.seek(number)
                pixels = np.asarray(image.convert("RGB"))
            except EOFError:
                break
            except _DAMAGED as error:
                raise StoreError(f"cannot be decoded: {error}", where=str(path)) from error
            # The encoder of WebP makes a picture, which lasts, of a clip in which nothing moves.
            still = number == 0 and not getattr(image, "is_animated", False)
            now += ends[-1] if still else round(image.info.get("duration", 0) * unit / 1000)
            while shown < film.frames and ends[shown] <= now:
                shown += 1
                yield pixels
        if shown != film.frames or now != ends[-1] or not _is_last(image, number):
            raise StoreError(f"does not show {film.frames} frames at {film.fps:g} a second", where=str(path))


def _is_last(image: Image.Image, number: int) -> bool:
    return int(getattr(image, "n_frames", 1)) <= number + 1


def _opened(path: Path) -> Image.Image:
    """Open a file with the one reader that its suffix names."""
    kind = GifImageFile if path.suffix == ".gif" else WebPImageFile
    try:
        data = content(path)
        if kind is GifImageFile and not data.endswith(_TRAILER):  # without which all frames may be there, too
            raise StoreError("is torn: its last byte is not the end of a GIF", where=str(path))
        return kind(io.BytesIO(data))
    except OSError as error:
        raise StoreError(error.strerror or f"is no {path.suffix[1:]} that can be read", where=str(path)) from error
    except _DAMAGED as error:
        raise StoreError(f"is no {path.suffix[1:]} that can be read", where=str(path)) from error
