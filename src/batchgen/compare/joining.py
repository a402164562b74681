"""Clips joined to a longer one: `joined/<name>.mp4`, or whatever clips are kept as.

It is made of the frames as they were rendered while those are kept, and else of what the clips decode to.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchgen.engine import Pixels
from batchgen.errors import StoreError
from batchgen.plan.joining import Join
from batchgen.plan.names import file_stem
from batchgen.store import clips, media
from batchgen.store.clips import Keeping
from batchgen.store.content import is_no_file
from batchgen.store.held import Held
from batchgen.store.history import Done, begun_with
from batchgen.store.layout import CLIP_SUFFIXES
from batchgen.store.publish import said_plainly, sync_directory

_DIGITS = 8
"""Of the id, at the end of a name."""


def write_join(join: Join, held: Held, keeping: Keeping, varying: Sequence[str]) -> Path:
    """Write a joined clip, unless it is there, and return where it is.

    Args:
        join: What is joined; all of it is done.
        held: Where it is.
        keeping: How clips are kept.
        varying: The axes with more than one value, for its name.

    Raises:
        TryLater: no room.
        StoreError: a clip is torn, or the file cannot be written.
    """
    others = [name for name in varying if name not in join.axes]
    stem = f"{file_stem(join.cells[0], others)[:-_DIGITS]}{join.id[:_DIGITS]}"
    path = held.directory.joined / f"{stem}{CLIP_SUFFIXES[keeping.container]}"
    ids = [cell.job.id for cell in join.cells]
    if _joins(path) != ids:
        with said_plainly(path):
            path.parent.mkdir(exist_ok=True)
            _write(join, [held.done[id_] for id_ in ids], keeping, held.directory.tmp).replace(path)
            sync_directory(path.parent)
    return path


def _write(join: Join, done: Sequence[Done], keeping: Keeping, tmp: Path) -> Path:
    job = join.cells[0].job
    shape = (join.frames, job.canvas.height, job.canvas.width, 3)

    def told(output: Mapping[str, Any]) -> str:
        return json.dumps({"joined": [each.id for each in done], "output": dict(output)})

    with TemporaryFile(dir=tmp) as file:  # longer than any clip, and not all in memory
        frames: NDArray[np.uint8] = np.memmap(file, np.uint8, "w+", shape=shape)
        for number, frame in enumerate(_frames(done, join.begins)):
            frames[number] = frame
        return clips.write(frames, job.motion.fps, keeping, tmp / f"{os.getpid()}-joined-{join.id[:12]}", told).file


def _frames(done: Sequence[Done], begins: Sequence[int]) -> Iterator[Pixels]:
    for each, begin in zip(done, begins, strict=True):
        yield from islice(clips.frames(_best(each)), begin, None)


def _best(done: Done) -> Path:
    """Return the file with the frames as they were rendered, if it is whole, or the clip."""
    kept = begun_with(done)
    try:
        whole = kept is not None and media.validate(kept)[0]["id"] == done.id
    except (StoreError, OSError):
        whole = False
    return kept if kept is not None and whole else done.picture


def _joins(path: Path) -> list[str] | None:
    """Return the ids that the clip at `path` says that it joins; None where there is none, or another."""
    if path.is_symlink() or is_no_file(path) or not path.exists():
        return None
    try:
        said = json.loads(clips.text_in(path) or "null")
    except (StoreError, ValueError, RecursionError):
        return None
    found = said.get("joined") if isinstance(said, dict) else None
    return found if isinstance(found, list) else None
