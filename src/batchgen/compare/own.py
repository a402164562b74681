"""Columns from a program of the person's own: `output.metrics`.

The program is started once. It reads a line of JSON for each picture, `{"id", "path", "reference", "prompt",
"recipe"}`, and answers each with a line of JSON, `{"aesthetic": 5.1}`, in the same order: numbers, or null. What it
said of a picture is remembered. A program that fails costs its columns and nothing else.
"""

import hashlib
import json
import math
import os
import re
import select
import shutil
import signal
import subprocess
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, Any

from batchgen.compare import table
from batchgen.compare.remembered import Remembered, Row
from batchgen.compare.results import Result, Results
from batchgen.store.content import content
from batchgen.store.layout import RunDirectory

MOST_COLUMNS = 32
LONGEST = 600.0
"""Seconds from one answer to the next, or to the first one, for which a model may have to be loaded."""

_GRACE = 10.0
"""Seconds to end in, after the last answer."""

_NAME = re.compile("[a-z][a-z0-9_]{0,31}")
_LARGEST_PROGRAM = 1 << 24
_LONGEST_LINE = 1 << 16
"""Bytes of an answer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Own:
    """What a program said."""

    columns: Mapping[str, tuple[float | None, ...]]
    """By name, as they came up: a number for each place."""
    warning: str = ""
    """Why it is not all of what was asked, in a line; empty where it is."""


class _Wrong(Exception):
    """The program did not do what it should; says what."""


def measured_by(
    command: Sequence[str],
    results: Results,
    reference: Sequence[int],
    directory: RunDirectory,
    *,
    longest: float = LONGEST,
) -> Own:
    """Ask a program about every picture of a run that it was not asked about before.

    Args:
        command: The program, absolute or to be looked for on PATH, and its arguments; it is started where we are.
        results: The run.
        reference: By place, the place it is measured against, or -1.
        directory: Where the run is, and remembers.
        longest: Seconds that it may take for an answer.
    """
    remembered, program, taken = Remembered(directory), _program(command), table.names(results)
    keys = [_key(results, number, of) for number, of in enumerate(reference)]
    known = {key: row for key in keys if key and (row := remembered.row(program, key)) is not None}
    asked = {
        key: _question(results, number, of)
        for number, (key, of) in enumerate(zip(keys, reference, strict=True))
        if key and key not in known
    }
    names: dict[str, None] = {}
    warning = ""
    try:
        for row in known.values():
            _take(row, names, taken)
        with closing(_answers(command, [*asked.values()], longest)) as answers:
            for key, row in zip(asked, answers, strict=True):
                _take(row, names, taken)
                known[key] = row
                remembered.add_row(program, key, row)
    except (_Wrong, OSError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        warning = f"output.metrics: {Path(command[0]).name} {reason}; {len(asked):,} pictures asked about"
    remembered.save()
    rows = [known.get(key or "", {}) for key in keys]
    return Own(columns={name: tuple(row.get(name) for row in rows) for name in names}, warning=warning)


def _program(command: Sequence[str]) -> str:
    """Name a program by its words and by what stands in those of them that are files: a mended one is asked anew."""
    found = []
    for word in command:
        with suppress(OSError, ValueError):
            found.append(hashlib.sha256(content(Path(word), _LARGEST_PROGRAM)).hexdigest())
    return _hash([[*command], found])


def _hash(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()


def _key(results: Results, number: int, reference: int) -> str | None:
    """Name a question; None where there is no picture to ask about."""
    place = results.places[number]
    if place.state != "made":
        return None
    beside = results.places[reference].pixel_sha256 if reference >= 0 else ""
    return _hash([place.id, place.pixel_sha256, beside])


def _question(results: Results, number: int, reference: int) -> str:
    place = results.places[number]
    said = {
        "id": place.id,
        "path": _absolute(place),
        "reference": _absolute(results.places[reference]) if reference >= 0 else None,
        "prompt": place.prompt,
        "recipe": dict(place.recipe),
    }
    return json.dumps(said, default=str)


def _absolute(place: Result) -> str | None:
    return None if place.picture is None or place.state != "made" else str(place.picture.absolute())


def _answers(command: Sequence[str], questions: Sequence[str], longest: float) -> Generator[Row, None, None]:
    """Ask, and yield the answers one by one.

    Raises:
        _Wrong: it cannot be started, is too slow, ends early, or answers otherwise than it should.
        OSError: it cannot be started.
    """
    if not questions:
        return
    program = shutil.which(command[0])
    if program is None:
        raise _Wrong("is no program that can be started")
    with TemporaryFile() as asked, TemporaryFile() as complaints:
        # A file, not a pipe: whoever answers before it has read all of it would wait for us, and we for it.
        asked.writelines(f"{question}\n".encode() for question in questions)
        asked.seek(0)
        with subprocess.Popen(
            [os.path.abspath(program), *command[1:]],  # noqa: PTH100 - resolve() would follow links, and busybox is one
            stdin=asked,
            stdout=subprocess.PIPE,
            stderr=complaints,
            process_group=0,
        ) as child:
            try:
                for number, line in enumerate(_lines(child, len(questions), longest), start=1):
                    yield _read(line, number)
                with suppress(subprocess.TimeoutExpired):
                    child.wait(_GRACE)
            except _Wrong as error:
                raise _Wrong(f"{error}{_complaint(complaints)}") from None
            finally:
                if child.poll() is None:
                    os.killpg(child.pid, signal.SIGKILL)


def _lines(child: subprocess.Popen[bytes], count: int, longest: float) -> Iterator[bytes]:
    """Yield so many lines of what the program says."""
    file = child.stdout.fileno() if child.stdout else -1
    held = b""
    for number in range(1, count + 1):
        while b"\n" not in held:
            if len(held) > _LONGEST_LINE:
                raise _Wrong(f"says more than {_LONGEST_LINE:,} bytes in its answer {number:,}")
            if not select.select([file], [], [], longest)[0]:
                raise _Wrong(f"took longer than {longest:g} s for its answer {number:,}")
            read = os.read(file, _LONGEST_LINE)
            if not read and not held:
                raise _Wrong(f"ended after {number - 1:,} answers")
            held += read or b"\n"
        line, _, held = held.partition(b"\n")
        yield line


def _read(line: bytes, number: int) -> Row:
    try:
        row = json.loads(line, parse_constant=lambda _: None)  # NaN is what Python's json writes for "no number"
    except (ValueError, RecursionError):
        raise _Wrong(f"says in its answer {number:,} what is no JSON") from None
    if not isinstance(row, dict):
        raise _Wrong(f"says in its answer {number:,} what is no object of names and numbers")
    for name, value in row.items():
        if value is not None and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise _Wrong(f"says in its answer {number:,} of {name!r} what is no number")
    return {name: _float(value) for name, value in row.items()}


def _float(value: float | None) -> float | None:
    try:
        found = None if value is None else float(value)
    except OverflowError:
        return None
    return found if found is not None and math.isfinite(found) else None


def _take(row: Row, names: dict[str, None], taken: Collection[str]) -> None:
    """Add the names in an answer to `names`, in the order in which they come up."""
    for name in row:
        if not _NAME.fullmatch(name):
            raise _Wrong(f"names a column {name[:40]!r}; a name is of a-z, 0-9 and _, and begins with a letter")
        if name in taken:
            raise _Wrong(f"names a column {name!r}, and there is one already")
    if len(names.keys() | row.keys()) > MOST_COLUMNS:
        raise _Wrong(f"names more than {MOST_COLUMNS} columns")
    names |= dict.fromkeys(row)


def _complaint(file: IO[bytes]) -> str:
    """Return the last line that the program said on its standard error."""
    file.seek(max(0, file.seek(0, os.SEEK_END) - 2000))
    lines = [line.strip() for line in file.read().decode(errors="replace").splitlines()]
    last = next((line for line in reversed(lines) if line), "")
    return f": {last[:200]}" if last else ""
