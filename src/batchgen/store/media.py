"""What a job made, whether it is a picture or a clip: the suffix of its file says which."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from PIL.WebPImagePlugin import WebPImageFile

from batchgen.engine import Pixels
from batchgen.errors import StoreError
from batchgen.store import clips, images
from batchgen.store.layout import CLIP_SUFFIXES
from batchgen.store.publish import write_new
from batchgen.store.record import Record, read


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """A picture or clip that was decoded whole."""

    record: Record
    text: str
    """Of the record."""
    pixel_sha256: str
    """Of the pixels in the file. Of a clip that lost some when it was encoded, and is whole: what its record says."""


def is_clip(path: Path) -> bool:
    """Say whether the name of a file is one of a clip."""
    return path.suffix in CLIP_SUFFIXES.values()


def moves(path: Path) -> bool:
    """Say whether a file is a clip, anybody's: a WebP may be a picture, too."""
    if path.suffix != CLIP_SUFFIXES["webp"]:
        return is_clip(path)
    try:
        with WebPImageFile(path) as picture:
            return bool(picture.is_animated)
    except (OSError, SyntaxError, ValueError):
        return False


def look_at(path: Path) -> Seen:
    """Decode what is at `path` whole.

    Raises:
        StoreError: it cannot be read or decoded to the end, or has no record that can be understood.
    """
    if is_clip(path):
        record, text = clips.embedded(path)
        return Seen(record=record, text=text, pixel_sha256=clips.seen(path, record))
    picture = images.open_picture(path)
    if not picture.record:
        raise StoreError("has no record of batchgen inside", where=str(path))
    record = read(picture.record, str(path))
    return Seen(record=record, text=picture.record, pixel_sha256=images.pixel_sha256(picture.pixels))


def validate(path: Path) -> tuple[Record, str]:
    """Return the record in the file at `path` and its text, once the pixels have been decoded and agree with it.

    Raises:
        StoreError: the file is torn, altered, or none of ours.
    """
    seen = look_at(path)
    output = seen.record.get("output")
    if not isinstance(output, dict) or output.get("pixel_sha256") != seen.pixel_sha256:
        raise StoreError("the pixels are not those that its record is of", where=str(path))
    return seen.record, seen.text


def record_in(path: Path) -> Record:
    """Return the record in the file at `path`; its pixels are not decoded. StoreError: there is none."""
    return embedded(path)[0]


def embedded(path: Path) -> tuple[Record, str]:
    """Return the record in the file at `path` and its text, as `record_in`."""
    return clips.embedded(path) if is_clip(path) else images.embedded(path)


def write_bare(source: Path, target: Path) -> None:
    """Write what is at `source` as a new file that holds nothing but what is to be seen, to the bit, synced.

    Raises:
        StoreError: it cannot be read, or is torn.
        OSError: there is no room, or no such folder.
    """
    if is_clip(source):
        clips.write_bare(source, target)
    else:
        write_new(target, images.bare_picture(source))


def frames(path: Path) -> Iterator[Pixels]:
    """Yield what is to be seen, height x width x 3: one picture, or the frames of a clip as they were encoded.

    Raises:
        StoreError: it cannot be decoded to the end.
    """
    if is_clip(path):
        yield from clips.frames(path)
    else:
        yield images.open_picture(path).pixels
