"""What a run directory says of itself: which pictures are done, and which failed. Reading changes nothing."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath

from batchgen.plan.plan import Reason
from batchgen.store.journal import Entry, read
from batchgen.store.layout import RunDirectory


@dataclass(frozen=True, slots=True, kw_only=True)
class Done:
    """A picture that was published."""

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

    @property
    def known(self) -> Mapping[str, Reason]:
        """What planning needs to know, by id."""
        return known(self.done)


def known(done: Mapping[str, Done]) -> Mapping[str, Reason]:
    """Say of pictures that were done once whether they still are, or why they must be made again."""
    return {key: Reason.PICTURE_MISSING if each.missing else Reason.DONE for key, each in done.items()}


def history(directory: RunDirectory) -> History:
    """Read the journal of `directory`, which need not exist. No lock is taken: a run may be under way."""
    return told(directory, read(directory.journal).entries)


def told(directory: RunDirectory, entries: Iterable[Entry]) -> History:
    """Put the entries of a journal together and look at the files; events of other kinds are passed over."""
    done: dict[str, Done] = {}
    failed: dict[str, str] = {}
    for entry in entries:
        if entry["event"] == "done" and _inside(entry["path"]):
            done[entry["id"]] = entry_done(directory, entry)
            failed.pop(entry["id"], None)
        elif entry["event"] == "failed":
            failed[entry["id"]] = entry["reason"]
    done = {each.id: replace(each, missing=_is_missing(each)) for each in done.values()}
    return History(done=done, failed=failed)


def _inside(path: str) -> bool:
    # A run directory may come from a stranger, and recovery moves files that look damaged.
    parts = PurePosixPath(path).parts
    return ".." not in parts and not path.startswith("/")


def _is_missing(done: Done) -> bool:
    try:
        return done.picture.stat().st_size != done.bytes
    except OSError:
        return True


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
