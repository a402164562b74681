"""The first frames of clips, for whoever shows many of them: a gallery, a sheet. `.batchgen/posters/<id>.png`.

Each can be made again from its clip, so it is not synced, and failing to write one harms nothing.
"""

import contextlib
import io
import os
from pathlib import Path

from PIL import Image

from batchgen.engine import Pixels
from batchgen.errors import BatchgenError
from batchgen.store.clips import frames
from batchgen.store.history import Done
from batchgen.store.layout import RunDirectory
from batchgen.store.publish import write_new

_LEVEL = 1
"""zlib's: it is looked at, and never sent."""


def keep_poster(directory: RunDirectory, job_id: str, first: Pixels) -> None:
    """Keep the frame `first` (height x width x 3) as the poster of a clip, if that can be done."""
    buffer = io.BytesIO()
    Image.fromarray(first).save(buffer, "PNG", compress_level=_LEVEL)
    # The process id first: it says whose files are left when a worker has died.
    fresh = directory.tmp / f"{os.getpid()}-poster-{job_id[:12]}"
    try:
        write_new(fresh, buffer.getvalue())
        fresh.replace(directory.poster(job_id))
    except OSError:  # no room, above all: the clip, which needs some too, comes first
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)


def poster(directory: RunDirectory, clip: Done) -> Path | None:
    """Return where the poster of `clip` is, made from the clip where it is missing; None if that cannot be done.

    The directory's lock is held.
    """
    path = directory.poster(clip.id)
    if not path.is_symlink() and path.is_file():
        return path
    try:
        keep_poster(directory, clip.id, next(frames(clip.picture)))
    except (BatchgenError, OSError, StopIteration):
        return None
    return path if path.is_file() else None
