"""Trials: each does something terrible to batchgen many times, counts what became of it, and says whether all was well.

A trial is a function of how often, of an empty folder and of a seed from which every random moment is drawn. The
script `torture.py` runs them with full counts, `tests/crash` with small ones.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from batchgen.store.layout import RunDirectory

Meddle = Callable[[RunDirectory], object]
"""Damages a run directory before it is judged: so a test sees that a trial can fail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """What came of a trial."""

    name: str
    tried: int
    counts: Mapping[str, int | float] = field(default_factory=dict)
    """In the order in which they are shown."""
    ok: bool
    note: str = ""


Trial = Callable[[int, Path, int], Row]
"""How often, an empty folder, a seed."""


def untouched(_directory: RunDirectory) -> None:
    """Damage nothing."""
