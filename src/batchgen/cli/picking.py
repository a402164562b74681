"""Which pictures of a run are meant: by names of files, by digits of ids, or by marks made in its gallery."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from batchgen.cli.asking import printable

if TYPE_CHECKING:
    from batchgen.store.history import Done, History
    from batchgen.store.layout import RunDirectory
    from batchgen.store.marks import Mark

_FEWEST = 4
"""Digits of an id."""

_HEX = frozenset("0123456789abcdef")


class Pictures:
    """The pictures of a run that can be meant."""

    def __init__(self, ids: "Iterable[str]", done: "Iterable[Done]") -> None:
        """Know everything by its id, and what was made once, `done`, by its file as well."""
        self._order = {id_: place for place, id_ in enumerate(dict.fromkeys(ids))}
        self._sorted = sorted(self._order)
        # Of several that had a name one after the other, the last has it now.
        self._names = {name: each.id for each in done for name in (each.picture.name, each.picture.stem)}

    def named(self, word: str) -> str:
        """Return the id of the picture that a word names; UsageError: there is none, or several."""
        from batchgen.errors import UsageError

        if found := self._names.get(Path(word).name):
            return found
        digits = word.lower()
        if not set(digits) <= _HEX:
            raise UsageError("no picture of this run has such a name, and it is no id", where=word)
        if len(digits) < _FEWEST:
            raise UsageError(f"an id is given by at least {_FEWEST} digits", where=word)
        return _only(self._beginning(digits), where=word)

    def marked(self, file: Path, run: str, wanted: "Callable[[Mark], bool]") -> list[str]:
        """Return the ids of the pictures whose mark in `file` is `wanted`, in the run's order.

        Args:
            file: What the gallery of the run exported.
            run: What the run directory is called.
            wanted: Says whether a mark is one of those that count.

        Raises:
            UsageError: it is no such file, or has marks of pictures that are none of this run.
        """
        from batchgen.errors import UsageError
        from batchgen.store.marks import read_marks

        found = read_marks(file)
        ids = {digits: self._beginning(digits) for digits in found.marks}
        of = f"; it is of the run {printable(found.run)!r}" if found.run != run else ""
        if strange := [digits for digits, several in ids.items() if not several]:
            which = f"{len(strange):,} of {len(ids):,} marks are of pictures that are not in this run"
            raise UsageError(f"{which}, the first of {strange[0]}{of}", where=str(file))
        if of:
            click.echo(f"warning: {file}: all marks fit{of}, not {run!r}", err=True)
        meant = (digits for digits, mark in found.marks.items() if wanted(mark))
        return sorted((_only(ids[each], where=str(file)) for each in meant), key=self._order.__getitem__)

    def _beginning(self, digits: str) -> list[str]:
        """Return the ids that begin with some digits."""
        first, last = (bisect_left(self._sorted, end) for end in (digits, digits + "g"))
        return self._sorted[first:last]


def _only(ids: list[str], *, where: str) -> str:
    from batchgen.errors import UsageError

    if len(ids) != 1:
        some = ", ".join(each[:12] for each in ids[:5])
        raise UsageError(f"several ids begin so: {some}" if ids else "no id in this run begins so", where=where)
    return ids[0]


def pictures_in(directory: "RunDirectory", past: "History") -> Pictures:
    """Return what a run was asked for, in the manifest's order, and whatever else its journal tells of."""
    from batchgen.errors import UsageError
    from batchgen.store.asked import read_sweep

    try:
        asked = [cell.id for cell in read_sweep(directory).cells]
    except UsageError:  # of an older batchgen, or damaged: what was made or tried can be meant all the same
        asked = []
    return Pictures([*asked, *past.done, *past.failed, *past.rejected], past.done.values())
