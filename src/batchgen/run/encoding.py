"""Pixels into verified files, on threads of the worker, while the next batch is rendered."""

import hashlib
import os
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import Any

from batchgen import __version__
from batchgen.engine import Pixels
from batchgen.errors import StoreError
from batchgen.interop.a1111 import write
from batchgen.run.messages import Made, Refused, Reply
from batchgen.store import clips
from batchgen.store.clips import KEEPING, Keeping, Written
from batchgen.store.images import encode, look, open_picture, pixel_sha256
from batchgen.store.layout import PICTURE_SUFFIX, RunDirectory
from batchgen.store.posters import keep_poster
from batchgen.store.publish import FULL, write_new
from batchgen.store.record import Asked, Making, build, to_text

MOST_BYTES = 256 * 1024 * 1024
"""Pixels that may be in hand. When the disk is slower than the device, the device waits; memory stays flat."""

THREADS = min(4, os.cpu_count() or 1)
"""zlib works without Python's lock. More threads than that would only take cores from the denoiser."""


_AS_RENDERED = Keeping(container="frames", compression=1)
"""Read once or twice, and thrown away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finishing:
    """A picture on its way from pixels to a file."""

    number: int
    """Of its batch."""
    index: int
    """Its place among those it was denoised with."""
    asked: Asked
    making: Making
    pixels: Pixels
    facts: Mapping[str, Any]
    with_frames: bool = False
    """Whether the frames of a clip are wanted as they are, whatever it is encoded to."""


class Encoders:
    """Threads that turn pixels into files in `tmp` and say so, or why not."""

    def __init__(self, tmp: Path, compression: int, say: Callable[[Reply], None], keeping: Keeping = KEEPING) -> None:
        """Write to `tmp` with zlib's level `compression`, clips as `keeping` says; `say` is called on any thread."""
        self._tmp = tmp
        self._keeping = keeping
        self._compression = compression
        self._say = say
        self._names = count()
        self._room = threading.Condition()
        self._bytes = self._pictures = 0
        self._threads = ThreadPoolExecutor(max_workers=THREADS, thread_name_prefix="encode")

    def take(self, picture: Finishing) -> None:
        """Take a picture on. Waits while too much is in hand: what is not on the disk must be made again after a death.

        A batch may always be in hand while the next one is rendered, and as many pictures as there are threads.
        """
        size, most = picture.pixels.nbytes, max(THREADS, len(picture.making.batch))
        with self._room:
            self._room.wait_for(
                lambda: not self._pictures or (self._pictures < most and self._bytes + size <= MOST_BYTES)
            )
            self._pictures += 1
            self._bytes += size
        self._threads.submit(self._finish, picture)

    def close(self) -> None:
        """Finish everything that was taken on."""
        self._threads.shutdown(wait=True)

    def _finish(self, picture: Finishing) -> None:
        try:
            reply: Reply = self._made(picture)
        except Exception as error:  # noqa: BLE001 - a thread's exception is nobody's; the supervisor must hear of all
            trouble = isinstance(error, OSError) and error.errno in FULL
            reply = Refused(
                number=picture.number,
                ids=(picture.asked.job.id,),
                reason=f"cannot be kept: {error}",
                trouble="disk_full" if trouble else "store",
            )
        with self._room:
            self._pictures -= 1
            self._bytes -= picture.pixels.nbytes
            self._room.notify()
        self._say(reply)

    def _made(self, picture: Finishing) -> Made:
        # The process id first: it says whose files are left when a worker has died.
        stem = self._tmp / f"{os.getpid()}-{next(self._names)}-{picture.asked.job.id[:12]}"
        written = self._clip(picture, stem) if picture.asked.job.clip else self._picture(picture, stem)
        beside = stem.with_name(f"{stem.name}.json")
        write_new(beside, written.text.encode())
        return Made(
            number=picture.number,
            id=picture.asked.job.id,
            file=written.file,
            record=beside,
            bytes=written.bytes,
            file_sha256=written.file_sha256,
            pixel_sha256=written.pixel_sha256,
            seconds=picture.making.seconds,
            attempt=picture.making.attempt,
            frames=self._frames(picture, written, stem),
        )

    def _frames(self, clip: Finishing, written: Written, stem: Path) -> Path | None:
        """Keep the frames with the record of the clip, so that it can be told that they are its frames."""
        if not clip.with_frames or self._keeping.container == "frames":
            return None
        beside = stem.with_name(f"{stem.name}-frames")
        return clips.write(clip.pixels, clip.asked.job.motion.fps, _AS_RENDERED, beside, lambda _: written.text).file

    def _picture(self, picture: Finishing, stem: Path) -> Written:
        output = look(picture.pixels)
        record = _told(picture, output)
        data = encode(picture.pixels, record, write(picture.asked.job, version=__version__), self._compression)
        file = stem.with_name(f"{stem.name}{PICTURE_SUFFIX}")
        write_new(file, data)
        _verify(file, record, output["pixel_sha256"])
        digest = hashlib.sha256(data).hexdigest()
        return Written(file=file, text=record, bytes=len(data), file_sha256=digest, pixel_sha256=output["pixel_sha256"])

    def _clip(self, clip: Finishing, stem: Path) -> Written:
        job = clip.asked.job
        written = clips.write(clip.pixels, job.motion.fps, self._keeping, stem, lambda output: _told(clip, output))
        keep_poster(RunDirectory.around(self._tmp), job.id, clip.pixels[0])
        return written


def _told(picture: Finishing, output: Mapping[str, Any]) -> str:
    return to_text(build(picture.asked, picture.making, picture.index, picture.facts, output))


def _verify(file: Path, record: str, pixels: str) -> None:
    written = open_picture(file)
    if pixel_sha256(written.pixels) != pixels or written.record != record:
        raise StoreError("came back from the disk as another picture", where=file.name)
