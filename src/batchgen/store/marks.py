"""Marks that a person made in a gallery and exported as a file: keep, reject, stars.

    {"batchgen": "marks", "format": 1, "run": "herons", "marks": {"1f2e3d4c5b6a7980": {"verdict": "keep", "stars": 4}}}

Anybody may have changed it since. It is read entry by entry and not by pydantic, which makes gigabytes of errors of a
few megabytes of nonsense.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, cast

from batchgen.errors import UsageError
from batchgen.store.content import content

LARGEST = 1 << 24
"""Bytes of such a file: 300,000 marks. What a browser keeps for a page is a third of it at most."""

_DIGITS = re.compile("[0-9a-f]{16}")

_LONGEST = 255
"""Characters in the name of a folder."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Mark:
    """What a person thinks of a picture."""

    verdict: Literal["keep", "reject"] | None = None
    stars: int = 0
    """1 to 5; 0 is none given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Marks:
    """What a person thinks of the pictures of a run."""

    run: str
    """The name of the run directory whose gallery it was."""
    marks: Mapping[str, Mark]
    """By the first 16 hex digits of the job's id."""


def read_marks(file: Path) -> Marks:
    """Return the marks in `file`.

    Raises:
        UsageError: it cannot be read, or is not what a gallery exports.
    """
    try:
        return _marks(json.loads(content(file, LARGEST)))
    except OSError as error:
        raise UsageError(f"cannot be read: {error.strerror or error}", where=str(file)) from error
    except (ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, _Misread) else "is not JSON"
        raise UsageError(f"is no file of marks as a gallery exports it: {reason}", where=str(file)) from error


class _Misread(ValueError):
    """Says in words what is wrong."""


def _marks(document: Any) -> Marks:
    found = document if isinstance(document, dict) else {}
    if found.get("batchgen") != "marks" or found.get("format") != 1:
        raise _Misread("it is of another kind or version")
    run, marks = found.get("run"), found.get("marks")
    if found.keys() != {"batchgen", "format", "run", "marks"} or not isinstance(marks, dict):
        raise _Misread("it has other keys than `batchgen`, `format`, `run` and `marks`")
    if not isinstance(run, str) or len(run) > _LONGEST:
        raise _Misread("`run` is no name")
    return Marks(run=run, marks=MappingProxyType({_digits(key): _mark(key, value) for key, value in marks.items()}))


def _digits(key: str) -> str:
    if not _DIGITS.fullmatch(key):
        raise _Misread(f"{key[:64]!r} is not the first 16 digits of an id")
    return key


def _mark(key: str, value: Any) -> Mark:
    if not isinstance(value, dict) or value.keys() - {"verdict", "stars"}:
        raise _Misread(f"the mark of {key} is none of `verdict` and `stars`")
    verdict, stars = value.get("verdict"), value.get("stars", 0)
    if verdict not in ("keep", "reject", None):
        raise _Misread(f"the verdict of {key} is neither keep nor reject")
    if type(stars) is not int or not 0 <= stars <= 5:
        raise _Misread(f"the stars of {key} are no number from 0 to 5")
    return Mark(verdict=cast('Literal["keep", "reject"] | None', verdict), stars=stars)
