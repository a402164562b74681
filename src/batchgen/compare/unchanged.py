"""What the last comparison was made of: a run with nothing to do, and nothing new to show, draws nothing again."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import TypeAdapter, ValidationError

from batchgen import __version__
from batchgen.manifest import Comparing
from batchgen.settings import Output
from batchgen.store.content import content
from batchgen.store.layout import RunDirectory
from batchgen.store.publish import said_plainly, write_atomic

if TYPE_CHECKING:
    from batchgen.compare.comparing import Compared


@dataclass(frozen=True, slots=True, kw_only=True)
class Left:
    """What it left, relative to the run directory."""

    of: str
    """Names what was compared, and how."""
    sheets: tuple[str, ...]
    gallery: str | None
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class There:
    """What is there of it."""

    sheets: Sequence[Path]
    gallery: Path | None
    findings: Sequence[str]


def recall(directory: RunDirectory, how: Comparing, output: Output) -> There | None:
    """Return what the last comparison left, if another one would leave the same; None if one is due."""
    try:
        left = TypeAdapter(Left).validate_json(content(directory.compared), strict=False)
        if left.of != _of(directory, how, output):
            return None
    except (OSError, ValidationError):
        return None
    # Whoever wrote the list, no file outside of the run directory is meant.
    paths = [directory.root / name for name in (*left.sheets, *([left.gallery] if left.gallery else []))]
    if not all(path.is_relative_to(directory.root) and ".." not in path.parts and path.is_file() for path in paths):
        return None
    sheets = paths[: len(left.sheets)]
    return There(sheets=sheets, gallery=paths[-1] if left.gallery else None, findings=left.findings)


def remember(directory: RunDirectory, how: Comparing, output: Output, found: "Compared") -> None:
    """Keep what a comparison left; the directory's lock is held.

    Raises:
        TryLater: no room.
        StoreError: it cannot be written.
    """
    left = {
        "of": _of(directory, how, output),
        "sheets": [directory.relative(path) for path in found.sheets],
        "gallery": None if found.gallery is None else directory.relative(found.gallery),
        "findings": list(found.findings),
    }
    with said_plainly(directory.compared):
        write_atomic(directory.compared, json.dumps(left).encode(), directory.tmp)


def _of(directory: RunDirectory, how: Comparing, output: Output) -> str:
    """Name what is compared, and how: all that is shown comes of the journal and of what was asked for."""
    digest = hashlib.sha256(repr((__version__, how, output)).encode())
    for path in (directory.sweep, directory.journal):
        digest.update(hashlib.sha256(content(path, None)).digest())
    return digest.hexdigest()
