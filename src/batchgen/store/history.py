"""What a run directory says of itself: which pictures are done, failed or rejected. Reading changes nothing."""

import json
import os
import re
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any

from batchgen.plan.plan import Reason
from batchgen.store.journal import Entry, read
from batchgen.store.layout import CLIP_SUFFIXES, PICTURE_SUFFIX, RunDirectory

_ID = re.compile("[0-9a-f]{64}")

_LONGEST = 1e9
"""Seconds, 30 years: nothing took longer, and infinity is no number of the journal."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A picture or clip that was published."""

    id: str
    picture: Path
    bytes: int
    """Size of its file."""
    file_sha256: str
    pixel_sha256: str
    seconds: float
    """Render time of its batch, divided by the pictures in it."""
    missing: bool = False
    """Its file is gone or of another size: it must be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class History:
    """What happened in a run directory so far."""

    done: Mapping[str, Done]
    """By id; those whose file is gone say so."""
    failed: Mapping[str, str]
    """Why, by id, for those that failed and were not made since."""
    names: Mapping[str, str]
    """The name, without suffix, that each picture was first given, by id."""
    rejected: frozenset[str]
    """Ids of what a person does not want: it is not made again. Its picture may be there all the same."""

    @property
    def known(self) -> Mapping[str, Reason]:
        """What planning needs to know, by id."""
        return known(self.done)


def known(done: Mapping[str, Done]) -> Mapping[str, Reason]:
    """Say of pictures that were done once whether they still are, or why they must be made again."""
    return {key: Reason.PICTURE_MISSING if each.missing else _there(each) for key, each in done.items()}


def _there(done: Done) -> Reason:
    return Reason.FRAMES_MISSING if begun_with(done) is None else Reason.DONE


def begun_with(done: Done) -> Path | None:
    """Return the file with whose pixels something may begin: of a clip, its frames as they were rendered, if kept."""
    frames = CLIP_SUFFIXES["frames"]
    if done.picture.suffix in (PICTURE_SUFFIX, frames):
        return done.picture
    kept = RunDirectory(done.picture.parent.parent).frames_of(done.id)
    try:
        return kept if stat.S_ISREG(kept.lstat().st_mode) else None
    except OSError:
        return None


def history(directory: RunDirectory) -> History:
    """Read the journal of `directory`, which need not exist. No lock is taken: a run may be under way."""
    return told(directory, read(directory.journal).entries)


def told(directory: RunDirectory, entries: Iterable[Entry]) -> History:
    """Put the entries of a journal together and look at the files; what is no event of ours is passed over."""
    done: dict[str, Done] = {}
    failed: dict[str, str] = {}
    names: dict[str, str] = {}
    rejected: set[str] = set()
    owners: dict[Path, str] = {}  # A picture that is gone may have left its name to another one.
    for entry in entries:
        if _is_done(directory, entry):
            each = done[entry["id"]] = entry_done(directory, entry)
            owners[each.picture] = each.id
            names.setdefault(each.id, each.picture.stem)
            failed.pop(each.id, None)
        elif entry.get("event") == "failed" and _is_id(entry.get("id")) and isinstance(entry.get("reason"), str):
            failed[entry["id"]] = entry["reason"]
        elif entry.get("event") == "rejected" and _is_id(entry.get("id")):
            rejected.add(entry["id"])
        elif entry.get("event") == "accepted" and _is_id(entry.get("id")):
            rejected.discard(entry["id"])
    done = {key: replace(each, missing=owners[each.picture] != key or _is_missing(each)) for key, each in done.items()}
    return History(done=done, failed=failed, names=names, rejected=frozenset(rejected))


def upscaled(directory: RunDirectory) -> tuple[Path, ...]:
    """Return the pictures that `batchgen upscale` was asked to make larger; none if that is not what is in there.

    Anybody may have written the list.
    """
    try:
        found = json.loads(directory.plan.read_bytes())["pictures"]
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return ()
    return tuple(Path(each) for each in found if isinstance(each, str)) if isinstance(found, list) else ()


def _is_done(directory: RunDirectory, entry: Entry) -> bool:
    """Say whether `entry` is one of the event `done`, whole and of the right types; anybody may have written it."""
    size = entry.get("bytes")
    return (
        entry.get("event") == "done"
        and _is_id(entry.get("id"))
        and _is_picture(directory, entry.get("path"))
        and isinstance(size, int)
        and all(isinstance(entry.get(name), str) for name in ("file_sha256", "pixel_sha256"))
        and seconds_in(entry) is not None
    )


def _is_id(value: Any) -> bool:
    return isinstance(value, str) and _ID.fullmatch(value) is not None


def _is_picture(directory: RunDirectory, path: Any) -> bool:
    # A run directory may come from a stranger, and recovery moves files that look damaged: none but those that lie in
    # the folder of pictures or clips itself, not in a folder there, which may be a link to anywhere.
    if not isinstance(path, str) or "\0" in path or path.startswith("/"):
        return False
    parts = PurePosixPath(path).parts
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        return False
    folders = {PICTURE_SUFFIX: directory.pictures, **dict.fromkeys(CLIP_SUFFIXES.values(), directory.clips)}
    folder = folders.get(PurePosixPath(path).suffix)
    return len(parts) == 2 and folder is not None and parts[0] == folder.name


def seconds_in(entry: Mapping[str, Any]) -> float | None:
    """Return the render time in a line of the journal or a record; None if none that can be true is there."""
    value = entry.get("seconds")
    return float(value) if isinstance(value, int | float) and 0 <= value <= _LONGEST else None


def _is_missing(done: Done) -> bool:
    # Not what a link points to: that is not the file that was published, and may lie anywhere.
    try:
        found = done.picture.lstat()
    except OSError:
        return True
    return not stat.S_ISREG(found.st_mode) or found.st_size != done.bytes


def entry_done(directory: RunDirectory, entry: Entry) -> Done:
    """What an entry of the event `done` says."""
    return Done(
        id=entry["id"],
        picture=directory.root / entry["path"],
        bytes=entry["bytes"],
        file_sha256=entry["file_sha256"],
        pixel_sha256=entry["pixel_sha256"],
        seconds=entry["seconds"],
    )
