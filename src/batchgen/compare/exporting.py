"""Pictures and clips copied into plain folders, called after values of axes: for other programs and other people.

Nothing that is there is ever overwritten, and what is there already stays: the same export again does nothing.
"""

import filecmp
import os
import shutil
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from batchgen.compare.results import Results, State
from batchgen.errors import StoreError, UsageError
from batchgen.manifest.shape import is_reserved
from batchgen.plan.names import slug
from batchgen.plan.sweep import label
from batchgen.store import media
from batchgen.store.layout import RunDirectory
from batchgen.store.publish import place, said_plainly


@dataclass(frozen=True, slots=True, kw_only=True)
class Copy:
    """A file, and where it goes."""

    source: Path
    folder: tuple[str, ...]
    """One name for each axis. The file keeps its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Copies:
    """What an export is made of."""

    copies: tuple[Copy, ...]
    """Each once. A job that belongs into several folders has a copy in each."""
    left: Mapping[State, int]
    """How many would be there if their pictures were, by what keeps them."""


def copies(results: Results, axes: Sequence[str], kept: Collection[str] | None = None) -> Copies:
    """Return what is to be copied of a run.

    Args:
        results: The run.
        axes: Those whose values are folders, one inside the other.
        kept: Ids of the jobs that are wanted; None: all.

    Raises:
        KeyError: there is no such axis.
    """
    folders = {axis: folder_names(results.axes[axis]) for axis in axes}
    found: dict[Copy, None] = {}
    left: dict[tuple[str, tuple[str, ...]], State] = {}
    for each in results.places:
        if kept is not None and each.id not in kept:
            continue
        folder = tuple(folders[axis][label(each.coordinates[axis])] for axis in axes)
        if each.state == "made" and each.picture is not None:
            found[Copy(source=each.picture, folder=folder)] = None
        else:
            left[each.id, folder] = each.state
    return Copies(copies=tuple(found), left=Counter(left.values()))


def folder_names(values: Sequence[Any]) -> dict[str, str]:
    """Return what the folder of each value is called, by the value's label, wherever folders may come to lie.

    >>> folder_names(["Euler", "euler", "a/b", "../..", "con", -1, None])
    {'Euler': 'Euler', 'euler': 'euler~2', 'a/b': 'a-b', '../..': 'other', 'con': 'con-', '-1': 'minus-1', '—': 'none'}
    """
    names: dict[str, str] = {}
    taken: Counter[str] = Counter()
    for value in {label(each): each for each in values}.values():
        name = _name(value)
        # To macOS and Windows names that differ by case or by how accents are composed are the same.
        taken[alike := unicodedata.normalize("NFC", name.casefold())] += 1
        names[label(value)] = name if taken[alike] == 1 else f"{name}~{taken[alike]}"
    return names


def _name(value: Any) -> str:
    if value is None:
        return "none"
    negative = isinstance(value, int | float) and value < 0  # of which a slug would lose the sign
    name = slug(f"minus {label(value)}" if negative else label(value)) or "other"
    return f"{name}-" if is_reserved(name) else name


def check_target(target: Path) -> None:
    """See that nothing of a run is in the folder that an export is to fill.

    Raises:
        UsageError: it is a run directory, or a folder in which batchgen keeps something.
    """
    here = target.resolve()
    if RunDirectory(here).hidden.is_dir():
        raise UsageError("is a run directory; name a folder in it, such as export, or one beside it", where=str(target))
    for folder in (here, *here.parents):
        run = RunDirectory(folder.parent)
        ours = run.hidden, run.pictures, run.clips, run.records, run.sheets, run.gallery, run.joined
        if folder in ours and run.hidden.is_dir():
            raise UsageError(f"batchgen keeps files of its own in {folder}; name another folder", where=str(target))


def export(copy: Copy, target: Path, *, bare: bool) -> bool:
    """Copy a file; return False if its copy is there already.

    Args:
        copy: Which, and into which folder.
        target: The folder of all of them.
        bare: Leave out the record and every other text; what is to be seen stays the same to the bit.

    Raises:
        TryLater: no room.
        StoreError: something else has that name, it cannot be written, or, if it is to be bare, the file is torn.
    """
    final = _folder(copy, target) / copy.source.name
    with said_plainly(final):
        if not bare and final.is_file() and filecmp.cmp(copy.source, final, shallow=False):
            return False
        fresh = final.with_name(f".{os.getpid()}-{final.name}")
        try:
            _write(copy.source, fresh, bare=bare)
            there = os.path.lexists(final)
            place(fresh, final)
        finally:
            fresh.unlink(missing_ok=True)
    return not there


def _folder(copy: Copy, target: Path) -> Path:
    """Make a folder and return it. A link in it may have come with the run directory of a stranger."""
    folder = target
    with said_plainly(folder):
        folder.mkdir(parents=True, exist_ok=True)
        for name in copy.folder:
            folder /= name
            if folder.is_symlink():
                raise StoreError("is a link, and no copy goes where it leads; remove it", where=str(folder))
            folder.mkdir(exist_ok=True)
    return folder


def _write(source: Path, fresh: Path, *, bare: bool) -> None:
    fresh.unlink(missing_ok=True)
    if bare:
        media.write_bare(source, fresh)
        return
    try:
        old = source.open("rb")
    except OSError as error:
        raise StoreError(f"cannot be read: {error.strerror}", where=str(source)) from error
    with old, fresh.open("xb") as new:
        shutil.copyfileobj(old, new, 1 << 20)
        new.flush()
        os.fsync(new.fileno())
