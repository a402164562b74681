"""Everything in a run directory, looked at again: what is torn, missing, altered or unknown. Nothing is changed.

No lock is taken, so it can be asked at any time; beside a run at work, what is just being published may be unknown.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from batchgen.errors import StoreError, UsageError
from batchgen.store import journal
from batchgen.store.content import content
from batchgen.store.history import Done, told
from batchgen.store.layout import RunDirectory
from batchgen.store.media import is_clip, look_at, record_in


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """Something that is not as it was left."""

    kind: Literal["torn", "missing", "altered", "unknown"]
    file: Path
    what: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Verified:
    """What was looked at, and what is wrong with it."""

    pictures: int
    """That the journal tells of, clips among them; not those that a person rejected and deleted."""
    clips: int
    findings: tuple[Finding, ...]


def verify(directory: RunDirectory) -> Verified:
    """Hash and decode all pictures and clips of `directory`, and hold them, records and journal against each other.

    Raises:
        OSError: a folder cannot be read.
    """
    # Names before the journal: what a run publishes in between is in the journal, and not unknown.
    pictures, records = _names(directory.pictures) + _names(directory.clips), _names(directory.records)
    blocked = dict(directory.obstacles())
    reading, unread = _journal(directory)
    past = told(directory, reading.entries)
    done = past.done
    owners = {each.picture: each for each in done.values() if not each.missing}
    to_see = [each for each in done.values() if not (each.id in past.rejected and _is_gone(each, owners))]
    findings = [
        *(Finding(kind="altered", file=path, what=why) for path, why in blocked.items()),
        *(each for each in unread if each.file not in blocked),
        *_of_journal(directory, reading, any_pictures=bool(pictures)),
        *(each for each in _of_plan(directory) if each.file not in blocked),
        *(finding for each in to_see for finding in _of_one(directory, each, owners)),
        *_strangers(pictures, done),
        *_lone_records(directory, records, done),
    ]
    clips = sum(is_clip(each.picture) for each in to_see)
    return Verified(pictures=len(to_see), clips=clips, findings=tuple(findings))


def _names(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _journal(directory: RunDirectory) -> tuple[journal.Reading, list[Finding]]:
    try:
        return journal.read(directory.journal), []
    except UsageError as error:
        finding = Finding(kind="altered", file=directory.journal, what=error.message)
        return journal.Reading(entries=(), good=0, bad=0), [finding]


def _of_journal(directory: RunDirectory, reading: journal.Reading, *, any_pictures: bool) -> Iterator[Finding]:
    if reading.bad:
        what = (
            f"line {len(reading.entries) + 1} is not as it was written; it and what follows, {reading.bad} bytes, count"
        )
        yield Finding(kind="torn", file=directory.journal, what=f"{what} for nothing")
    elif any_pictures and not directory.journal.exists():
        yield Finding(kind="missing", file=directory.journal, what="the journal is gone; the next run writes it anew")


def _of_plan(directory: RunDirectory) -> Iterator[Finding]:
    try:
        json.loads(content(directory.plan))
    except FileNotFoundError:
        yield Finding(
            kind="missing", file=directory.plan, what="what was asked for is gone; the next run writes it anew"
        )
    except OSError as error:
        yield Finding(kind="altered", file=directory.plan, what=f"cannot be read: {error.strerror}")
    except (ValueError, RecursionError):
        yield Finding(kind="torn", file=directory.plan, what="is not JSON")


def _is_gone(each: Done, owners: Mapping[Path, Done]) -> bool:
    return not os.path.lexists(each.picture) or owners.get(each.picture, each) is not each


def _of_one(directory: RunDirectory, each: Done, owners: Mapping[Path, Done]) -> Iterator[Finding]:
    """Look at one picture, unless its name was given to another one after it had gone."""
    owner = owners.get(each.picture, each)
    if owner is not each:
        what = f"the picture of {each.id[:12]} is gone; its name stands for {owner.id[:12]} now"
        yield Finding(kind="missing", file=each.picture, what=what)
    elif each.picture.is_symlink():
        yield Finding(kind="altered", file=each.picture, what="is a link and not the file that was published")
    else:
        yield from _of_picture(directory, each)


def _of_picture(directory: RunDirectory, done: Done) -> Iterator[Finding]:
    file = done.picture
    try:
        data = content(file)
    except OSError as error:
        yield Finding(kind="missing", file=file, what=f"the picture cannot be read: {error.strerror}")
        return
    whole = hashlib.sha256(data).hexdigest() == done.file_sha256
    try:
        seen = look_at(file)
    except (StoreError, OSError) as error:
        what = error.message if isinstance(error, StoreError) else str(error)
        yield Finding(kind="torn" if len(data) < done.bytes else "altered", file=file, what=what)
        return
    output = seen.record.get("output")
    if seen.record["id"] != done.id:
        yield Finding(kind="altered", file=file, what="is another picture than the one that was published")
    elif not isinstance(output, dict) or not seen.pixel_sha256 == output.get("pixel_sha256") == done.pixel_sha256:
        yield Finding(kind="altered", file=file, what="its pixels are not those that its record and the journal are of")
    elif not whole:
        yield Finding(
            kind="altered", file=file, what="its bytes are others than were published; its pixels are the same"
        )
    yield from _of_record(directory.record(done.id), seen.text)


def _of_record(file: Path, embedded: str) -> Iterator[Finding]:
    try:
        same = content(file) == embedded.encode()
    except OSError as error:
        yield Finding(kind="missing", file=file, what=f"the record cannot be read: {error.strerror}")
        return
    if not same:
        yield Finding(kind="altered", file=file, what="is not the record that its picture holds")


def _strangers(files: list[Path], done: Mapping[str, Done]) -> Iterator[Finding]:
    known = {each.picture for each in done.values()}
    for file in files:
        if file not in known:
            yield Finding(kind="unknown", file=file, what=_said_of_stranger(file, done))


def _said_of_stranger(file: Path, done: Mapping[str, Done]) -> str:
    try:
        twin = done.get(record_in(file)["id"])
    except (StoreError, OSError):
        return "no picture that batchgen made"
    if twin is None:
        return "a picture of batchgen that the journal does not tell of; the next run looks at it"
    return f"another picture of the same job as {twin.picture.name}"


def _lone_records(directory: RunDirectory, files: list[Path], done: Mapping[str, Done]) -> Iterator[Finding]:
    known = {directory.record(id_) for id_ in done}
    for file in files:
        if file not in known:
            yield Finding(kind="unknown", file=file, what="belongs to no picture")
