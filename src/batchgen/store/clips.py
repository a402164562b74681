"""Clips: frames and record into a file, and back with proof of what can be proved.

Video is not kept to the bit, so two hashes are in a record: `pixel_sha256` of the frames as they were rendered, which
is what two renders are compared by, and `decoded_sha256` of what the file decodes to, by which the file is known to be
whole. The record is put into the file in a second pass, since it tells what came back from the first one.
"""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import PIL

from batchgen.engine import Container, Pixels
from batchgen.errors import StoreError
from batchgen.store import animations, ffmpeg, zipped
from batchgen.store.content import is_no_file
from batchgen.store.ffmpeg import H264, VP9, Codec
from batchgen.store.film import Film
from batchgen.store.layout import CLIP_SUFFIXES
from batchgen.store.publish import sync_file
from batchgen.store.record import Record, read

_MOST_GIF: Final = 50
"""Frames a second. Browsers take a frame of less than two hundredths of a second for one of ten."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Keeping:
    """How clips are kept. None of it changes a frame as it was rendered."""

    container: Container = "mp4"
    quality: int = 80
    """0 (small) to 100 (near to the frames, or for WebP the very frames); GIF and PNG have none."""
    compression: int = 6
    """zlib's level for frames in PNG."""


KEEPING = Keeping()
"""Where nobody says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Written:
    """A clip on the disk, synced, that decoded to what its record says."""

    file: Path
    text: str
    """Of the record inside."""
    bytes: int
    file_sha256: str
    pixel_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Way:
    """How one container is written and read."""

    encode: Callable[[Pixels, Film, Keeping, Path], None]
    add: Callable[[Path, Path, str], None]
    """Put a record's text into a copy of a file."""
    remove: Callable[[Path, Path], None]
    """Write a copy of a file without any text."""
    text: Callable[[Path], str | None]
    planes: Callable[[Path, Film], Iterable[bytes | memoryview]]
    """What is hashed."""
    frames: Callable[[Path, Film], Iterator[Pixels]]
    kind: str
    """What `planes` are."""
    said: Callable[[Keeping], str]
    """By what it was encoded."""
    lossless: Callable[[Keeping], bool] = lambda _: False


def _video(codec: Codec) -> _Way:
    return _Way(
        encode=lambda pixels, film, how, target: ffmpeg.encode(pixels, film, codec, how.quality, target),
        add=lambda source, target, text: ffmpeg.with_text(source, target, text, codec),
        remove=lambda source, target: ffmpeg.without_text(source, target, codec),
        text=lambda path: ffmpeg.text_in(path, codec),
        planes=lambda path, film: ffmpeg.planes(path, film, codec),
        frames=lambda path, film: ffmpeg.frames(path, film, codec),
        kind="yuv420p",
        said=lambda how: f"ffmpeg {ffmpeg.version()}, {codec.encoder} crf {codec.crf(how.quality)}",
    )


def _data(frames: Iterable[Pixels]) -> Iterator[memoryview]:
    return (np.ascontiguousarray(frame).data for frame in frames)


def _exact(how: Keeping) -> bool:
    return how.quality == animations.LOSSLESS


_WAYS: Mapping[str, _Way] = MappingProxyType(
    {
        "mp4": _video(H264),
        "webm": _video(VP9),
        "gif": _Way(
            encode=lambda pixels, film, _, target: animations.write_gif(pixels, film, target),
            add=animations.gif_with_text,
            remove=animations.gif_without_text,
            text=animations.gif_text,
            planes=lambda path, film: _data(animations.frames(path, film)),
            frames=animations.frames,
            kind="RGB",
            said=lambda _: f"Pillow {PIL.__version__}, GIF",
        ),
        "webp": _Way(
            encode=lambda pixels, film, how, target: animations.write_webp(pixels, film, how.quality, target),
            add=animations.webp_with_text,
            remove=animations.webp_without_text,
            text=animations.webp_text,
            planes=lambda path, film: _data(animations.frames(path, film)),
            frames=animations.frames,
            kind="RGB",
            said=lambda how: (
                f"Pillow {PIL.__version__}, WebP {'lossless' if _exact(how) else f'quality {how.quality}'}"
            ),
            lossless=_exact,
        ),
        "frames": _Way(
            encode=lambda pixels, _, how, target: zipped.write(pixels, how.compression, target),
            add=zipped.with_text,
            remove=zipped.without_text,
            text=zipped.text_in,
            planes=lambda path, film: _data(zipped.frames(path, film)),
            frames=zipped.frames,
            kind="RGB",
            said=lambda _: f"Pillow {PIL.__version__}, PNG",
            lossless=lambda _: True,
        ),
    }
)


def unfit(container: Container, *, width: int, height: int, fps: float) -> str | None:
    """Say why a clip of this size and speed cannot be kept so, and what can; None if it can.

    >>> unfit("mp4", width=255, height=64, fps=8)
    'an mp4 has even sides only (H.264, yuv420p) and 255x64 has not: take 254x64 or 256x64, or output.clips=webm'
    """
    if container == "mp4" and (width % 2 or height % 2):
        near = " or ".join(f"{width + by * (width % 2)}x{height + by * (height % 2)}" for by in (-1, 1))
        has = f"an mp4 has even sides only (H.264, yuv420p) and {width}x{height} has not"
        return f"{has}: take {near}, or output.clips=webm"
    if container == "gif" and fps > _MOST_GIF:
        return f"a GIF shows at most {_MOST_GIF} frames a second, and {fps:g} are asked for: take output.clips=webp"
    return None


def look(pixels: Pixels, film: Film) -> Mapping[str, Any]:
    """Say what the record keeps of a clip (frames x height x width x 3), as `images.look` does of a picture."""
    return {
        "pixel_sha256": pixel_sha256(pixels, film),
        **asdict(film),
        "seconds": round(film.frames / film.fps, 6),
        "finite": True,  # An engine refuses to turn anything else into bytes; once they are bytes nobody can tell.
        "min": int(pixels.min()),
        "max": int(pixels.max()),
        "mean": round(float(pixels.mean()), 4),
        # Frame by frame: what is joined may be larger than the memory.
        "single_colour": all(bool((frame == pixels[0, 0, 0]).all()) for frame in pixels),
        "still": all(bool((frame == pixels[0]).all()) for frame in pixels[1:]),
    }


def pixel_sha256(frames: Iterable[Pixels], film: Film) -> str:
    """SHA-256 over `RGB <width>x<height>x<frames>`, a line feed, and the frames row by row: 64 hex digits."""
    return film.sha256("RGB", _data(frames))


def write(pixels: Pixels, fps: float, how: Keeping, stem: Path, told: Callable[[Mapping[str, Any]], str]) -> Written:
    """Write a clip as a new file and decode it again; nothing is left where that fails.

    Args:
        pixels: Frames x height x width x 3.
        fps: Frames a second.
        how: The container and its quality.
        stem: Where, without suffix.
        told: Returns the text of the record, given what it says of the output.

    Raises:
        StoreError: it is no clip, cannot be kept so, or came back from the disk otherwise.
        OSError: there is no room, or no such folder.
    """
    film, way = Film.of(pixels, fps), _WAYS[how.container]
    if reason := unfit(how.container, width=film.width, height=film.height, fps=fps):
        raise StoreError(reason)
    suffix = CLIP_SUFFIXES[how.container]
    raw, file = stem.with_name(f"{stem.name}-raw{suffix}"), stem.with_name(f"{stem.name}{suffix}")
    try:
        way.encode(pixels, film, how, raw)
        output = dict(look(pixels, film)) | {"container": how.container, "encoder": way.said(how)}
        output["decoded_sha256"] = film.sha256(way.kind, way.planes(raw, film))
        text = told(output)
        way.add(raw, file, text)
        sync_file(file)
        _see(file, film, way, output, text, lossless=way.lossless(how))
        with file.open("rb") as stream:
            digest = hashlib.file_digest(stream, "sha256").hexdigest()
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    finally:
        raw.unlink(missing_ok=True)
    size, pixel_hash = file.stat().st_size, output["pixel_sha256"]
    return Written(file=file, text=text, bytes=size, file_sha256=digest, pixel_sha256=pixel_hash)


def _see(file: Path, film: Film, way: _Way, output: Mapping[str, Any], text: str, *, lossless: bool) -> None:
    if lossless and output["decoded_sha256"] != output["pixel_sha256"]:
        raise StoreError("came back with other pixels, although nothing is lost so", where=file.name)
    if way.text(file) != text or film.sha256(way.kind, way.planes(file, film)) != output["decoded_sha256"]:
        raise StoreError("came back from the disk as another clip", where=file.name)


def embedded(path: Path) -> tuple[Record, str]:
    """Return the record in the clip at `path` and its text; no frame is decoded.

    Raises:
        StoreError: there is none.
    """
    if is_no_file(path):
        raise StoreError("is no file", where=str(path))
    if not path.exists():
        raise StoreError("No such file or directory", where=str(path))
    text = _way_of(path).text(path)
    if text is None:
        raise StoreError("has no record of batchgen inside", where=str(path))
    return read(text, str(path)), text


def write_bare(source: Path, target: Path) -> None:
    """Write the clip at `source` as a new file without its record, synced; no frame is encoded anew.

    Raises:
        StoreError: it cannot be decoded to the end, or is not the clip that its record is of.
        OSError: there is no room, or no such folder.
    """
    record, _ = embedded(source)
    film, way = Film.told(record.get("output"), str(source)), _way_of(source)
    try:
        way.remove(source, target)
        sync_file(target)
        _see_bare(target, film, way, record["output"])
    except BaseException:
        target.unlink(missing_ok=True)
        raise


def _see_bare(file: Path, film: Film, way: _Way, output: Mapping[str, Any]) -> None:
    if way.text(file) is not None or film.sha256(way.kind, way.planes(file, film)) != output.get("decoded_sha256"):
        raise StoreError("without its record it is not the clip that its record is of", where=file.name)


def text_in(path: Path) -> str | None:
    """Return the text in the clip at `path`, whatever it is; None if there is none.

    Raises:
        StoreError: it cannot be read.
    """
    return _way_of(path).text(path)


def seen(path: Path, record: Record) -> str:
    """Decode the clip at `path` and return what it is of: the `pixel_sha256` of its record, if the file is that clip.

    Else the hash of what it decodes to, which is no other clip's `pixel_sha256`.

    Raises:
        StoreError: it cannot be decoded to the end, or is none of ours.
    """
    film, way = Film.told(record.get("output"), str(path)), _way_of(path)
    found = film.sha256(way.kind, way.planes(path, film))
    return str(record["output"].get("pixel_sha256")) if found == record["output"].get("decoded_sha256") else found


def frames(path: Path) -> Iterator[Pixels]:
    """Yield the frames of the clip at `path` in colours, one by one.

    Raises:
        StoreError: it cannot be decoded to the end, or is none of ours.
    """
    record, _ = embedded(path)
    return _way_of(path).frames(path, Film.told(record.get("output"), str(path)))


def _way_of(path: Path) -> _Way:
    for container, suffix in CLIP_SUFFIXES.items():
        if path.suffix == suffix:
            return _WAYS[container]
    raise StoreError(f"is no clip: {', '.join(CLIP_SUFFIXES.values())} are", where=str(path))
