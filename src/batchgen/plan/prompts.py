"""The prompts of a manifest: prompt files read, templates opened.

A prompt file lies beside the manifest or in folders below it, also where links lead, because a manifest may be a
stranger's. In a `.txt` every
line that is not blank is one prompt, kept as it is, whatever it begins with. The columns of a `.csv` and the keys of a
`.jsonl` are named as the keys of an entry; an empty cell says nothing.
"""

import csv
import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import Any, Final, NoReturn

from batchgen.errors import ManifestError
from batchgen.manifest import Entry, Manifest
from batchgen.manifest.reading import Document, parse_json, plain_value, read_text
from batchgen.manifest.shape import entry_of
from batchgen.parts import FIELDS
from batchgen.plan.fields import TEXTS
from batchgen.plan.templates import Phrase, phrases

_SUFFIXES: Final = (".txt", ".csv", ".jsonl")
_TYPED: Final = FIELDS.keys() - TEXTS | {"count"}
"""Columns whose cells are numbers or words; cells of all others are texts."""


_SHOWN: Final = 60
"""Characters of a file's name, or names of columns, in an error."""
MAX_PROMPTS: Final = 2_000_000
"""Of one manifest; each takes about a kilobyte of memory, and two bytes in a file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One value of the axis `prompt`."""

    label: str
    """Its coordinate: the entry's name or the text. No two prompts of a manifest have the same."""
    phrase: Phrase
    """The text; templates may have open variables."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else the entry says, not yet checked."""
    name: str | None = None
    note: str | None = None
    where: str | None = None


def read_prompts(manifest: Manifest, *, limit: int) -> tuple[Prompt, ...]:
    """Return every prompt of a manifest, in its order.

    Args:
        manifest: Its prompt files are read again each time.
        limit: How many prompts one template may have at most.

    Raises:
        ManifestError: a prompt file or template cannot be read; or there is no prompt at all.
    """
    opened = list(islice((each for entry in written_out(manifest) for each in _opened(entry, limit)), MAX_PROMPTS + 1))
    if len(opened) > MAX_PROMPTS:
        message = f"more than {MAX_PROMPTS:,} prompts; make several manifests of them"
        raise ManifestError(message, where=manifest.where(("prompts",)))
    if not opened:
        raise ManifestError("no prompts: write them under `prompts:` or say --prompt", where=manifest.where())
    labels = _different([entry.name or phrase.text for entry, phrase in opened])
    return tuple(
        Prompt(label=label, phrase=phrase, fields=entry.fields, name=entry.name, note=entry.note, where=entry.where)
        for label, (entry, phrase) in zip(labels, opened, strict=True)
    )


def written_out(manifest: Manifest) -> Iterator[Entry]:
    """Yield the entries of a manifest, those of its prompt files in place of the files.

    Raises:
        ManifestError: a prompt file cannot be read.
    """
    for entry in manifest.prompts:
        if entry.kind == "file":
            for line in _read_file(_inside(manifest.folder, entry), entry):
                yield replace(line, fields={**entry.fields, **line.fields}) if entry.fields else line
        else:
            yield entry


def _opened(entry: Entry, limit: int) -> Iterator[tuple[Entry, Phrase]]:
    if entry.kind == "prompt":
        yield entry, Phrase(literals=(entry.text,))
        return
    found = phrases(entry.text, sample=entry.sample, seed=entry.sample_seed, limit=limit, where=entry.where)
    yield from ((entry, phrase) for phrase in found)


def _different(labels: list[str]) -> list[str]:
    """Number the labels that were there before: two prompts may have the same text and other fields."""
    given = set(labels)
    seen: dict[str, int] = {}
    found = []
    for label in labels:
        number = seen.get(label, 0) + 1
        while number > 1 and f"{label} ({number})" in given:
            number += 1
        seen[label] = number
        found.append(f"{label} ({number})" if number > 1 else label)
    return found


def _inside(folder: Path, entry: Entry) -> Path:
    """Return where a prompt file is, if that is in the manifest's folder."""
    relative = PurePosixPath(entry.text)
    if (
        relative.is_absolute()
        or ".." in relative.parts
        or "\\" in entry.text
        or ":" in entry.text
        or not relative.parts
    ):
        message = f"file: {entry.text!r} must be a path inside the manifest's folder, such as prompts/shapes.txt"
        raise ManifestError(message, where=entry.where)
    if relative.suffix.lower() not in _SUFFIXES:
        raise ManifestError(f"file: {entry.text!r} must end in {', '.join(_SUFFIXES)}", where=entry.where)
    path = folder / relative
    if not _leads_inside(path, folder, entry):
        message = f"file: {entry.text!r} is a link that leads out of the manifest's folder; copy the file there"
        raise ManifestError(message, where=entry.where)
    return path


def _leads_inside(path: Path, folder: Path, entry: Entry) -> bool:
    """Return whether a file is in the folder when every link was followed."""
    try:
        if not path.is_file():
            raise ManifestError(f"file: there is no {path}", where=entry.where)
        return path.resolve().is_relative_to(folder.resolve())
    except OSError as error:
        shown = entry.text if len(entry.text) <= _SHOWN else f"{entry.text[:_SHOWN]}..."
        raise ManifestError(f"file: {shown!r} cannot be read: {error.strerror}", where=entry.where) from error


def _read_file(path: Path, entry: Entry) -> Iterator[Entry]:
    readers = {".txt": _text_lines, ".csv": _csv_rows, ".jsonl": _json_lines}
    empty = True
    for found in readers[path.suffix.lower()](read_text(path, kind="prompt file"), str(path)):
        empty = False
        yield found
    if empty:
        raise ManifestError(f"file: {path} has no prompts", where=entry.where)


def _lines(text: str) -> Iterator[tuple[int, str]]:
    """Yield number and text of lines that are not blank. Only a line feed ends a line, as an editor counts them."""
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield number, line.removesuffix("\r")


def _text_lines(text: str, file: str) -> Iterator[Entry]:
    for number, line in _lines(text):
        yield Entry(kind="prompt", text=line, where=f"{file}:{number}")


def _json_lines(text: str, file: str) -> Iterator[Entry]:
    for number, line in _lines(text):
        yield entry_of(parse_json(line, file, line=number))


def _csv_rows(text: str, file: str) -> Iterator[Entry]:
    rows = _strict_rows(text, file)
    line, first = next(rows, (1, []))
    columns = [column.strip() for column in first]
    if not {"prompt", "template"} & set(columns):
        here = ", ".join(columns[:_SHOWN])
        _fail(file, line, f"a column 'prompt' is missing; the first line names the columns, here: {here}")
    if len(set(columns)) < len(columns) or "" in columns:
        _fail(file, line, f"every column needs a name of its own, not: {', '.join(columns[:_SHOWN])}")
    for line, row in rows:
        if len(row) != len(columns):
            _fail(file, line, f"{len(row)} cells, but {len(columns)} columns; a text with a comma needs quotes")
        value = {name: _typed(name, cell) for name, cell in zip(columns, row, strict=True) if cell}
        yield entry_of(Document(file=file, value=value, lines={(): line}))


def _strict_rows(text: str, file: str) -> Iterator[tuple[int, list[str]]]:
    """Yield the line on which a row begins, and its cells."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    begins = 1
    try:
        for row in reader:
            if row:
                yield begins, row
            begins = reader.line_num + 1
    except csv.Error as error:
        reasons = {"unexpected end of data": "a quote is opened here and never closed"}
        _fail(file, begins, f"not CSV: {reasons.get(str(error), str(error))}")


def _typed(name: str, cell: str) -> Any:
    """Return a cell as a text where the column wants one, else as what it would be in a manifest."""
    return plain_value(cell) if name in _TYPED else cell


def _fail(file: str, line: int, message: str) -> NoReturn:
    raise ManifestError(message, where=f"{file}:{line}")
