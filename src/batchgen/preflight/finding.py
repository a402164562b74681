"""What a check found."""

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "wrong"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of `batchgen doctor`."""

    state: State
    """`wrong`: what is needed is missing. `warning`: something will be slower or cannot be asked for."""
    about: str
    says: str
    mend: str = ""
    """What to do about it."""


def size(count: float) -> str:
    """A number of bytes as a person says it.

    >>> [size(x) for x in (0, 812, 1_500_000, 7.1e9, 2e12)]
    ['0 B', '812 B', '1.5 MB', '7.1 GB', '2.0 TB']
    """
    for unit, least in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= least:
            return f"{count / least:.1f} {unit}"
    return f"{count:.0f} B"
