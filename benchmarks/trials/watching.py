"""A run directory, looked at from outside while terrible things happen to it."""

import hashlib
from collections import Counter
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path

from batchgen.errors import StoreError
from batchgen.store import journal
from batchgen.store.history import told
from batchgen.store.layout import RunDirectory
from batchgen.store.media import validate


def whole(path: Path) -> str | None:
    """Return the id of the picture at `path` once it was decoded to the end and agrees with its record, else None."""
    try:
        record, _ = validate(path)
    except (StoreError, OSError):
        return None
    return str(record["id"])


def pictures(directory: RunDirectory) -> list[Path]:
    """Return what is to be seen under pictures/ and clips/, sorted."""
    folders = (folder for folder in (directory.pictures, directory.clips) if folder.is_dir())
    return sorted(path for folder in folders for path in folder.iterdir())


@dataclass(slots=True)
class Watch:
    """Remembers every picture that was to be seen once, and finds what has become of it."""

    directory: RunDirectory
    torn: set[str] = field(default_factory=set)
    """Names of files that were to be seen and were no whole pictures."""
    _seen: dict[str, str] = field(default_factory=dict)

    def look(self) -> None:
        """Decode every picture that was not there before."""
        for path in pictures(self.directory):
            if path.name not in self._seen and path.name not in self.torn:
                if whole(path) is None:
                    self.torn.add(path.name)
                else:
                    self._seen[path.name] = _sha256(path)

    def judged(self, wanted: Collection[str]) -> dict[str, int]:
        """Say of the directory, where nothing runs any more, how it differs from the pictures `wanted`, by id.

        Every picture is decoded again, and held against the journal and against what it was when it was first seen.
        """
        found = pictures(self.directory)
        ids = {path.name: whole(path) for path in found}
        self.torn |= {name for name, id_ in ids.items() if id_ is None}
        now = {path.name: _sha256(path) for path in found}
        entries = journal.read(self.directory.journal).entries
        done = told(self.directory, entries).done
        lines = Counter(entry["id"] for entry in entries if entry.get("event") == "done")
        files = Counter(ids.values())
        there = {
            id_ for id_, each in done.items() if not each.missing and now.get(each.picture.name) == each.file_sha256
        }
        return {
            "lost": sum(now.get(name) != was for name, was in self._seen.items()),
            "torn": len(self.torn),
            "duplicates": sum(count > 1 for each in (lines, files) for count in each.values()),
            "missing": len(set(wanted) - (there & {*ids.values()})),
            "unasked": len({*ids.values()} - {None, *wanted}),
        }


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
