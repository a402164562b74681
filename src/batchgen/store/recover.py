"""What a start does after anything may have happened: unfinished files go, finished ones stay, doubtful ones move.

The picture or clip with its record is the truth. One that is there without a line in the journal was published when the
run was killed, or its line was cut away; it is adopted if it decodes to the pixels that its record is of. Anything else
in their folders that is called as one goes to quarantine, where batchgen never deletes.
"""

import hashlib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from batchgen.errors import StoreError
from batchgen.store.history import Done, entry_done, seconds_in, told
from batchgen.store.journal import Journal
from batchgen.store.layout import CLIP_SUFFIXES, LATENT, PICTURE_SUFFIX, RunDirectory
from batchgen.store.media import embedded, record_in, validate
from batchgen.store.publish import said_plainly, sync_directory, write_atomic
from batchgen.store.record import stands_for


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What was found."""

    done: dict[str, Done]
    """Pictures by id; their files are there and as large as they were."""
    missing: dict[str, Done]
    """Pictures by id that were done once and must be made again."""
    adopted: tuple[Path, ...]
    """Pictures that were not in the journal and are now."""
    quarantined: tuple[Path, ...]
    """Where doubtful files lie now."""
    names: Mapping[str, str]
    """The name, without suffix, that each picture was first given, by id."""
    rejected: frozenset[str]
    """Ids of what a person does not want, whether or not it is there."""


def recover(directory: RunDirectory, journal: Journal) -> Recovered:
    """Bring `directory`, whose lock is held, into order.

    Raises:
        TryLater: no room for the journal's lines.
        StoreError: a file cannot be moved or removed.
    """
    with said_plainly(directory.root):
        _empty(directory.tmp)
        past = told(directory, journal.entries)
        missing = {key: each for key, each in past.done.items() if each.missing}
        done = {key: each for key, each in past.done.items() if not each.missing}
        kept = {each.picture for each in done.values()}
        doubtful = {each.picture for each in missing.values()} - kept
        moved = [_set_aside(directory, path) for path in sorted(doubtful) if os.path.lexists(path)]
        adopted = []
        for path in _without_a_line(directory, done):
            found = _adopted(directory, journal, path, done)
            if isinstance(found, Path):
                moved.append(found)
            elif found is not None:
                adopted.append(path)
                done[found.id] = found
                missing.pop(found.id, None)
        _complete(directory, done.values())
        _forget(directory.latents, done)
        _forget(directory.interrupted, done)
        for folder in (directory.pictures, directory.clips):
            if folder.is_dir():
                sync_directory(folder)
        journal.sync()
    names = {each.id: each.picture.stem for each in done.values()} | dict(past.names)
    return Recovered(
        done=done,
        missing=missing,
        adopted=tuple(adopted),
        quarantined=tuple(moved),
        names=names,
        rejected=past.rejected,
    )


def _empty(folder: Path) -> None:
    with os.scandir(folder) as found:
        for each in found:
            # Only files are made here. A folder is somebody's who may miss it, and is in nobody's way.
            if not each.is_dir(follow_symlinks=False):
                Path(each).unlink()


def _forget(folder: Path, done: Mapping[str, Done]) -> None:
    """Remove latents and bookmarks of pictures that are there; the others spare their jobs the denoiser."""
    for path in folder.glob(f"*{LATENT}"):
        if path.stem in done and not path.is_dir():
            path.unlink()


def _without_a_line(directory: RunDirectory, done: dict[str, Done]) -> list[Path]:
    """Return what may be pictures that no line tells of. Links and folders are none of ours."""
    in_journal = {each.picture for each in done.values()}
    found = [*_files(directory.pictures, PICTURE_SUFFIX), *_files(directory.clips, *CLIP_SUFFIXES.values())]
    return sorted(path for path in found if path not in in_journal)


def _files(folder: Path, *suffixes: str) -> list[Path]:
    if not folder.is_dir():
        return []
    with os.scandir(folder) as found:
        names = [each.name for each in found if each.is_file(follow_symlinks=False) and each.name.endswith(suffixes)]
    return [folder / name for name in names]


def _complete(directory: RunDirectory, done: Iterable[Done]) -> None:
    """Write records anew that are gone, from the pictures that hold the same text."""
    there = {path.name for path in directory.records.iterdir()}
    for each in done:
        path = directory.record(each.id)
        if path.name in there:
            continue
        try:
            record, text = embedded(each.picture)
        except StoreError:  # of the right size, and altered: looking through every picture is for `verify`
            continue
        if record["id"] == each.id:
            write_atomic(path, text.encode(), directory.tmp)


def _adopted(directory: RunDirectory, journal: Journal, path: Path, done: dict[str, Done]) -> Done | Path | None:
    """Return what `path` is now: done, in quarantine (its path there), or a copy of a done one, which is left alone."""
    try:
        if record_in(path)["id"] in done:
            return None
        record, text = validate(path)
    except StoreError:
        return _set_aside(directory, path)
    data = path.read_bytes()
    fields = {
        "id": record["id"],
        "path": directory.relative(path),
        "bytes": len(data),
        "file_sha256": hashlib.sha256(data).hexdigest(),
        "pixel_sha256": record["output"]["pixel_sha256"],
        "seconds": seconds_in(record) or 0.0,
    }
    file = directory.record(record["id"])
    if stands_for(file, record["id"]):
        write_atomic(file, text.encode(), directory.tmp)
    # The line must not survive a power cut that the picture's name does not.
    sync_directory(path.parent)
    journal.append("done", **fields, adopted=True)
    return entry_done(directory, fields)


def _set_aside(directory: RunDirectory, path: Path) -> Path:
    target, number = directory.quarantine / path.name, 0
    while os.path.lexists(target):
        number += 1
        target = directory.quarantine / f"{number}-{path.name}"
    return path.rename(target)
