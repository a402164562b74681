"""The ffmpeg of imageio-ffmpeg: raw frames into a video and back. It is told little and believed nothing.

Its exit status is looked at here, and whoever has a video written decodes it again. One thread does the work, because
the next clip is being denoised meanwhile. Frames and texts go through pipes: when this process dies they close, and
ffmpeg ends too. A video may be anybody's, so nothing but the one file is opened, as what it should be, with the one
decoder that is meant.
"""

import contextlib
import errno
import re
import signal
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cache
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

import numpy as np

from batchgen.engine import Pixels
from batchgen.errors import StoreError
from batchgen.store.film import Film
from batchgen.store.record import LARGEST

_TEXT = re.compile(r"^comment=((?:[^\\\n]++|\\.)*+)$", re.DOTALL | re.IGNORECASE | re.MULTILINE)
"""The tag as ffmpeg prints it: backslashes before `=`, `;`, `#`, backslashes and line feeds.

Nothing of it is tried twice: a text may have millions of characters, and be anybody's."""

_QUIET = ("-hide_banner", "-nostats", "-loglevel", "error", "-n")

_SCALE = "scale=flags=bicubic+accurate_rnd+full_chroma_int"

_TAGS = tuple(word for key in ("colorspace", "color_primaries", "color_trc") for word in (f"-{key}", "bt709"))
"""Players guess the matrix of an untagged video by its size, and show other colours than were meant."""

_FULL = {"No space left on device": errno.ENOSPC, "Disk quota exceeded": errno.EDQUOT, "File too large": errno.EFBIG}


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """A way to keep frames in a video."""

    container: str
    """ffmpeg's name of the format."""
    encoder: str
    options: tuple[str, ...]
    decoder: str
    worst: float
    """The constant rate factor of quality 0."""
    step: float
    """By how much it falls with a step of quality."""
    finish: tuple[str, ...] = ()
    """Options where the video gets its last form."""

    def crf(self, quality: int) -> int:
        """Return the constant rate factor of a quality from 0 to 100."""
        return round(self.worst - self.step * quality)


H264 = Codec(
    container="mp4",
    encoder="libx264",
    options=("-preset", "medium"),
    decoder="h264",
    worst=48,
    step=0.38,  # 80 is 18, at which x264's makers see no difference any more; 100 is 10
    finish=("-movflags", "+faststart"),  # so that a browser plays it before it has all of it
)
VP9 = Codec(
    container="webm",
    encoder="libvpx-vp9",
    options=("-b:v", "0", "-deadline", "good", "-cpu-used", "4", "-row-mt", "0"),
    decoder="vp9",
    worst=63,
    step=0.5,
)


@cache
def program() -> str:
    """Return the path of ffmpeg.

    Raises:
        StoreError: there is none.
    """
    from imageio_ffmpeg import get_ffmpeg_exe  # noqa: PLC0415 - 30 ms that a run of pictures need not wait

    try:
        return str(get_ffmpeg_exe())
    except RuntimeError as error:
        raise StoreError(f"no ffmpeg is here, and it came with the package imageio-ffmpeg: {error}") from error


@cache
def version() -> str:
    """Return the version of ffmpeg, which is started for it.

    Raises:
        StoreError: there is none, or it does not start.
    """
    with _running(["-version"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        said = _stdout(child).read().decode(errors="replace")
    return said.removeprefix("ffmpeg version ").split(" ", 1)[0]


def encode(pixels: Iterable[Pixels], film: Film, codec: Codec, quality: int, target: Path) -> None:
    """Write frames (height x width x 3) as a new file without a text.

    Raises:
        StoreError: ffmpeg is not there, failed, or was ended.
        OSError: there is no room.
    """
    raw = ("-f", "rawvideo", "-pix_fmt", "rgb24", "-video_size", f"{film.width}x{film.height}")
    colours = f"{_SCALE}:out_color_matrix=bt709:out_range=tv,format=yuv420p"
    words = [
        *(*raw, "-framerate", str(Fraction(film.fps).limit_denominator(1001)), *_from("pipe", "0")),
        *("-vf", colours, *_TAGS, "-color_range", "tv", "-filter_threads", "1", "-fps_mode", "passthrough"),
        *("-c:v", codec.encoder, *codec.options, "-crf", str(codec.crf(quality)), "-threads", "1"),
        *_to(target, codec),
    ]
    with _running(words, stdin=subprocess.PIPE) as child:
        _feed(child, (frame.data for frame in map(np.ascontiguousarray, pixels)))


def with_text(source: Path, target: Path, text: str, codec: Codec) -> None:
    """Write the video `source` as a new file with `text` in its tag `comment`; errors as `encode`."""
    escaped = re.sub(r"([=;#\\\n])", r"\\\1", text)
    words = [
        *_opened(source, codec),
        *("-f", "ffmetadata", *_from("pipe", "0"), "-map", "0:v:0", "-map_metadata", "1", "-c", "copy"),
        *(*codec.finish, *_to(target, codec)),
    ]
    with _running(words, stdin=subprocess.PIPE) as child:
        _feed(child, [f";FFMETADATA1\ncomment={escaped}\n".encode()])


def without_text(source: Path, target: Path, codec: Codec) -> None:
    """Write the frames of the video `source` as a new file, as they are coded, and nothing else; errors as `encode`."""
    words = [*_opened(source, codec), "-map", "0:v:0", "-map_metadata", "-1", "-map_chapters", "-1", "-c", "copy"]
    with _running([*words, *codec.finish, *_to(target, codec)], where=source, stdin=subprocess.DEVNULL):
        pass


def text_in(path: Path, codec: Codec) -> str | None:
    """Return the text in the tag `comment`; None if there is none.

    Raises:
        StoreError: it is no such video, or the text is larger than any record.
    """
    words = [*_opened(path, codec), "-map_metadata", "0", "-f", "ffmetadata", "pipe:1"]
    with _running(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        said = _stdout(child).read(2 * LARGEST)
        if len(said) == 2 * LARGEST:
            raise StoreError("has more text inside than any record", where=str(path))
    found = _TEXT.search(said.decode(errors="replace"))
    return re.sub(r"\\(.)", r"\1", found[1], flags=re.DOTALL) if found else None


def planes(path: Path, film: Film, codec: Codec) -> Iterator[bytes]:
    """Yield the frames as they are coded: planes Y, U and V, the latter two of half the size (yuv420p).

    Decoders must agree on them to the bit, which nobody promises of colours.

    Raises:
        StoreError: it cannot be decoded, or has not as many frames of that size.
    """
    halved = -(-film.width // 2) * -(-film.height // 2)
    return _decoded(path, film, codec, ("-pix_fmt", "yuv420p"), film.width * film.height + 2 * halved)


def frames(path: Path, film: Film, codec: Codec) -> Iterator[Pixels]:
    """Yield the frames in colours, height x width x 3; errors as `planes`."""
    shape = film.height, film.width, 3
    for each in _decoded(path, film, codec, ("-vf", _SCALE, "-pix_fmt", "rgb24"), int(np.prod(shape))):
        yield np.frombuffer(each, np.uint8).reshape(shape)


def _decoded(path: Path, film: Film, codec: Codec, colours: Sequence[str], size: int) -> Iterator[bytes]:
    words = [
        *("-max_pixels", str((film.width + 64) * (film.height + 64)), *_opened(path, codec)),
        *("-map", "0:v:0", "-fps_mode", "passthrough", *colours, "-threads", "1", "-f", "rawvideo", "pipe:1"),
    ]
    _see_whole(path, codec)
    with _running(words, where=path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        stream, count = _stdout(child), 0
        while frame := stream.read(size):
            if count == film.frames or len(frame) != size:
                raise StoreError(f"does not hold {_measured(film)}", where=str(path))
            count += 1
            yield frame
    if count != film.frames:
        raise StoreError(f"has {count} whole frames instead of {film.frames}", where=str(path))


def _see_whole(path: Path, codec: Codec) -> None:
    """Refuse a WebM that lacks bytes at its end, which ffmpeg does not: they are an index, or the texts."""
    if codec.container != "webm" or not path.is_file():  # of which ffmpeg says what is wrong
        return
    with path.open("rb") as file:
        head = file.read(64)
    try:
        segment = _element(head, _element(head, 0))
    except (IndexError, ValueError):
        segment = -1
    if segment != path.stat().st_size:
        raise StoreError("is torn: it is not as long as it says", where=str(path))


def _element(head: bytes, at: int) -> int:
    """Return where the element of EBML (RFC 8794) ends that begins at `at`; IndexError or ValueError: none does."""
    for marked in (False, True):  # its name, and its size without the bit that says how long the size is
        length = 9 - head[at].bit_length()
        number = int.from_bytes(head[at : at + length], "big") - (marked << (7 * length))
        at += length
    return at + number


def _measured(film: Film) -> str:
    return f"{film.frames} frames of {film.width}x{film.height}"


def _opened(path: Path, codec: Codec) -> Sequence[str]:
    named = f"file:{path.absolute()}"
    only = ("-protocol_whitelist", "file", "-codec_whitelist", codec.decoder)
    return ("-threads", "1", "-xerror", *only, "-f", codec.container, "-i", named)


def _from(protocol: str, name: str) -> Sequence[str]:
    return ("-protocol_whitelist", protocol, "-i", f"{protocol}:{name}")


def _to(target: Path, codec: Codec) -> Sequence[str]:
    # Nothing of the time and place it was made at: the same frames become the same bytes.
    return ("-an", "-fflags", "+bitexact", "-flags:v", "+bitexact", "-f", codec.container, f"file:{target.absolute()}")


def _feed(child: subprocess.Popen[bytes], parts: Iterable[bytes | memoryview]) -> None:
    assert child.stdin is not None  # noqa: S101 - for the type checker: it was asked for
    with contextlib.suppress(BrokenPipeError):  # then its status says why
        for part in parts:
            child.stdin.write(part)
        child.stdin.close()


def _stdout(child: subprocess.Popen[bytes]) -> IO[bytes]:
    assert child.stdout is not None  # noqa: S101 - for the type checker: it was asked for
    return child.stdout


@contextlib.contextmanager
def _running(words: Sequence[str], where: Path | None = None, **streams: Any) -> Iterator[subprocess.Popen[bytes]]:
    """Start ffmpeg; in the end see that it was content, or, if something went wrong here, end it."""
    with TemporaryFile() as said:  # a pipe that nobody empties would hold it up
        try:
            child = subprocess.Popen([program(), *_QUIET, *words], stderr=said, **streams)
        except OSError as error:
            raise StoreError(f"ffmpeg cannot be started: {error.strerror}", where=program()) from error
        try:
            yield child
        except BaseException:
            child.kill()
            raise
        finally:
            for stream in (child.stdin, child.stdout):
                with contextlib.suppress(BrokenPipeError):
                    stream.close() if stream else None
            child.wait()
        said.seek(0)
        _see(child.returncode, said.read(1 << 16).decode(errors="replace"), where)


def _see(status: int, said: str, where: Path | None) -> None:
    if not status:
        return
    number = next((number for words, number in _FULL.items() if words in said), None)
    if number or status == -signal.SIGXFSZ:
        raise OSError(number or errno.EFBIG, "ffmpeg found no room")
    how = f"ended with exit status {status}" if status > 0 else f"was ended by {signal.Signals(-status).name}"
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    told = f": {lines[0][:300]}" if lines else ""
    raise StoreError(f"ffmpeg {how}{told}", where=None if where is None else str(where))
