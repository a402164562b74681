"""What a start does after anything may have happened: unfinished files go, finished ones stay, doubtful ones move.

The picture with its record is the truth. One that is there without a line in the journal was published when the run was
killed, or its line was cut away; it is adopted if it decodes to the pixels that its record is of. Anything else in the
folder that calls itself a PNG goes to quarantine, where batchgen never deletes.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from batchgen.errors import StoreError
from batchgen.store.history import Done, entry_done, told
from batchgen.store.images import record_in, validate
from batchgen.store.journal import Journal
from batchgen.store.layout import RunDirectory
from batchgen.store.publish import said_plainly, sync_directory, write_atomic


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


def recover(directory: RunDirectory, journal: Journal) -> Recovered:
    """Bring `directory`, whose lock is held, into order.

    Raises:
        TryLater: no room for the journal's lines.
        StoreError: a file cannot be moved or removed.
    """
    with said_plainly(directory.root):
        _empty(directory.tmp)
        known = told(directory, journal.entries).done
        missing = {key: each for key, each in known.items() if each.missing}
        done = {key: each for key, each in known.items() if not each.missing}
        moved = [_set_aside(directory, each.picture) for each in missing.values() if each.picture.exists()]
        adopted = []
        for path in _without_a_line(directory, done):
            found = _adopted(directory, journal, path, done)
            if isinstance(found, Path):
                moved.append(found)
            elif found is not None:
                adopted.append(path)
                done[found.id] = found
                missing.pop(found.id, None)
        sync_directory(directory.pictures)
        journal.sync()
    return Recovered(done=done, missing=missing, adopted=tuple(adopted), quarantined=tuple(moved))


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()


def _without_a_line(directory: RunDirectory, done: dict[str, Done]) -> list[Path]:
    in_journal = {each.picture.name for each in done.values()}
    return sorted(path for path in directory.pictures.glob("*.png") if path.name not in in_journal)


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
        "seconds": float(record.get("seconds") or 0.0),
    }
    write_atomic(directory.record(record["id"]), text.encode(), directory.tmp)
    # The line must not survive a power cut that the picture's name does not.
    sync_directory(directory.pictures)
    journal.append("done", **fields, adopted=True)
    return entry_done(directory, fields)


def _set_aside(directory: RunDirectory, path: Path) -> Path:
    target, number = directory.quarantine / path.name, 0
    while target.exists():
        number += 1
        target = directory.quarantine / f"{number}-{path.name}"
    return path.rename(target)
