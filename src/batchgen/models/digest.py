"""What a model is, as one number: SHA-256 over every file in use.

The digest stands in every job's id, so it must be right; files have gigabytes, so each is hashed once. What was hashed
is remembered by what the file system says of the file; a file that was touched in any way is hashed again.
"""

import contextlib
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping
from pathlib import Path

from batchgen.errors import ModelError

OnHash = Callable[[Path, int, int], None]
"""Called while a file is hashed: the file, the bytes done, the bytes in all."""

_BLOCK = 4 * 1024 * 1024
_ENTRY = re.compile(r"\d+ \d+ \d+ [0-9a-f]{64}")


class DigestCache:
    """SHA-256 of files by device and inode, valid while size and times stay as they were.

    The cache is a convenience: a file of it that is damaged counts as empty, and one that cannot be written is let be.
    """

    def __init__(self, path: Path) -> None:
        """Use the cache file `path`, which need not exist."""
        self._path = path
        self._known: dict[str, str] | None = None
        self._fresh: dict[str, str] = {}

    def sha256(self, file: Path, on_hash: OnHash | None = None) -> str:
        """Return the SHA-256 of what is in `file`, 64 hex digits.

        Raises:
            ModelError: the file cannot be read, or was written to meanwhile.
        """
        try:
            key, stamp = _identity(file.stat())
            if self._known is None:
                self._known = _read(self._path)
            state, _, digest = self._known.get(key, "").rpartition(" ")
            if state != stamp:
                digest = _hash(file, on_hash)
                if _identity(file.stat()) != (key, stamp):
                    raise ModelError("changed while it was read; is it still being downloaded?", where=str(file))
                self._known[key] = self._fresh[key] = f"{stamp} {digest}"
        except OSError as error:
            raise ModelError(f"cannot be read: {error.strerror}", where=str(file)) from error
        return digest

    def known(self, file: Path) -> str | None:
        """Return the SHA-256 of what is in `file` if it was hashed before and not touched since; nothing is read."""
        if self._known is None:
            self._known = _read(self._path)
        try:
            key, stamp = _identity(file.stat())
        except OSError:
            return None
        state, _, digest = self._known.get(key, "").rpartition(" ")
        return digest if state == stamp else None

    def save(self) -> None:
        """Write what was hashed since the last time, beside what other runs wrote meanwhile."""
        if self._fresh:
            _write(self._path, _read(self._path) | self._fresh)
            self._fresh = {}


def model_digest(files: Mapping[str, Path], cache: DigestCache, on_hash: OnHash | None = None) -> str:
    """Return the SHA-256 of the sorted lines `NAME SHA256` of all `files`, 64 hex digits.

    Names are relative to the model, so that a model may be moved, and say which file plays which part.

    Raises:
        ModelError: a file cannot be read.
    """
    try:
        lines = [f"{name} {cache.sha256(files[name], on_hash)}\n" for name in sorted(files)]
    finally:
        cache.save()  # also after Ctrl-C: minutes of hashing are kept
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _identity(status: os.stat_result) -> tuple[str, str]:
    return (
        f"{status.st_dev}:{status.st_ino}",
        f"{status.st_size} {status.st_mtime_ns} {status.st_ctime_ns}",
    )


def _hash(file: Path, on_hash: OnHash | None) -> str:
    digest, done, total = hashlib.sha256(), 0, file.stat().st_size
    block = memoryview(bytearray(_BLOCK))
    with file.open("rb", buffering=0) as stream:
        while count := stream.readinto(block):
            digest.update(block[:count])
            done += count
            if on_hash:
                on_hash(file, done, total)
    return digest.hexdigest()


def _read(path: Path) -> dict[str, str]:
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {key: entry for key, entry in found.items() if isinstance(entry, str) and _ENTRY.fullmatch(entry)}


def _write(path: Path, entries: Mapping[str, str]) -> None:
    temporary = path.with_name(f"{path.name}.{os.getpid()}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            temporary.write_text(json.dumps(entries, indent=0, sort_keys=True))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
