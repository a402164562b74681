"""Strict YAML and JSON: bytes -> plain values, each with the line it stands on.

What YAML guesses, this reader does not: `no` is the text "no", `010`, `1:30` and `1e3` are texts too. Only `true`,
`false`, `null` and numbers as JSON writes them (`7`, `-2`, `0.5`) are typed, and quotes always make a text. Anchors,
aliases, tags, merge keys, duplicate keys and second documents are refused: a file says the same thing to a person and
to batchgen, and a small file cannot become a large one.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import yaml

from batchgen.errors import ManifestError

Location = tuple[str | int, ...]
"""Where a value stands in a document: `("prompts", 2, "seed")`."""

MAX_BYTES: Final = 64 * 2**20
MAX_DEPTH: Final = 16
"""Lists and mappings inside one another. A manifest needs five."""
MAX_DIGITS: Final = 40
"""Of a number. A seed has twenty."""
MAX_VALUES: Final = 2_000_000
"""In one file. Each takes a few hundred bytes of memory, and two in the file."""

_TOO_MANY: Final = f"more than {MAX_VALUES:,} values; split the file"
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(?P<fraction>\.[0-9]+(?:[eE][-+]?[0-9]+)?)?")
_WORDS: Final[Mapping[str, Any]] = {"true": True, "false": False, "null": None, "": None}
_QUOTE_IT: Final = "indent with spaces, and put text that has any of : # { } [ ] , & * ! | > % @ ` in quotes"
_CONTROL: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffe\uffff]")
"""What YAML does not allow in a file. Found here, because libyaml does not say the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """A file's plain values (dict, list, str, int, float, bool, None) and their lines."""

    file: str
    value: Any
    lines: Mapping[Location, int]
    """Location -> line, counted from 1."""


def read_text(path: Path, *, kind: str) -> str:
    """Return the text of a UTF-8 file; a byte order mark at the start is left out.

    Raises:
        ManifestError: no such file, too large, not UTF-8, or a NUL in it; with the line.
    """
    try:
        if not path.is_file():
            raise ManifestError(f"there is no such {kind}", where=str(path))
        if path.stat().st_size > MAX_BYTES:
            raise ManifestError(f"larger than {MAX_BYTES // 2**20} MiB, which no {kind} is", where=str(path))
        data = path.read_bytes()
    except OSError as error:
        raise ManifestError(f"cannot be read: {error.strerror}", where=str(path)) from error
    return _decoded(data, str(path))


def _decoded(data: bytes, file: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ManifestError("not UTF-8; save the file as UTF-8", where=f"{file}:{line}") from error
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise ManifestError("a NUL character; text has none", where=f"{file}:{line}")
    return text


def parse_yaml(text: str, file: str) -> Document:
    """Read one YAML document.

    Raises:
        ManifestError: not YAML, or YAML that this reader refuses; with the line.
    """
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        message = f"not YAML: the control character U+{ord(control[0]):04X}; write it as an escape in double quotes"
        raise ManifestError(message, where=f"{file}:{line}")
    builder = _YamlBuilder(text, file)
    try:
        value = builder.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"{file}:{mark.line + 1}" if mark else file
        raise ManifestError(f"not YAML: {error.problem}; {_QUOTE_IT}", where=where) from error
    return Document(file=file, value=value, lines=builder.lines)


class _YamlBuilder:
    """Builds values from parser events, so that nothing of YAML's object model is ever made."""

    def __init__(self, text: str, file: str) -> None:
        # libyaml is about 15 times as fast; both loaders give the same events.
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        self._events: Iterator[Any] = iter(yaml.parse(text, Loader=loader))
        self._file = file
        self.lines: dict[Location, int] = {}

    def document(self) -> Any:
        next(self._events)  # the stream's start
        if not isinstance(next(self._events), yaml.DocumentStartEvent):
            raise ManifestError("empty: nothing is asked for", where=f"{self._file}:1")
        value = self._value(next(self._events), (), 0)
        next(self._events)  # the document's end
        after = next(self._events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._fail(after, "a second document (`---`); a file holds one")
        return value

    def _value(self, event: Any, at: Location, depth: int) -> Any:
        self._plain_yaml(event, depth)
        if len(self.lines) >= MAX_VALUES:
            self._fail(event, _TOO_MANY)
        self.lines.setdefault(at, event.start_mark.line + 1)
        if isinstance(event, yaml.ScalarEvent):
            return self._scalar(event)
        if isinstance(event, yaml.SequenceStartEvent):
            return self._sequence(at, depth)
        return self._mapping(at, depth)

    def _plain_yaml(self, event: Any, depth: int) -> None:
        """Refuse what makes YAML more than a notation for plain values."""
        if isinstance(event, yaml.AliasEvent):
            self._fail(event, f"an alias (`*{event.anchor}`); write the value out, or quote the text")
        if event.anchor is not None:
            self._fail(event, f"an anchor (`&{event.anchor}`); write the value out, or quote the text")
        if event.tag is not None:
            self._fail(event, f"a tag (`{event.tag}`); write the plain value, or quote the text")
        if depth > MAX_DEPTH:
            self._fail(event, f"more than {MAX_DEPTH} lists and mappings inside one another")

    def _sequence(self, at: Location, depth: int) -> list[Any]:
        found: list[Any] = []
        while not isinstance(event := next(self._events), yaml.SequenceEndEvent):
            found.append(self._value(event, (*at, len(found)), depth + 1))
        return found

    def _mapping(self, at: Location, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        while not isinstance(event := next(self._events), yaml.MappingEndEvent):
            key = self._key(event, depth)
            if key in found:
                self._fail(event, f"{key!r} is there twice; keep one")
            self.lines[(*at, key)] = event.start_mark.line + 1
            found[key] = self._value(next(self._events), (*at, key), depth + 1)
        return found

    def _key(self, event: Any, depth: int) -> str:
        self._plain_yaml(event, depth)
        if not isinstance(event, yaml.ScalarEvent):
            self._fail(event, "a list or mapping as a key; keys are words")
        if event.value == "<<" and event.implicit[0]:
            self._fail(event, "a merge key (`<<`); write the values out")
        return self._checked(event, event.value)

    def _scalar(self, event: Any) -> Any:
        if not event.implicit[0]:  # quoted or a block: always a text
            return self._checked(event, event.value)
        try:
            return plain_value(event.value)
        except ValueError as error:
            self._fail(event, str(error))

    def _checked(self, event: Any, text: str) -> str:
        if problem := text_problem(text):
            self._fail(event, problem)
        return text

    def _fail(self, event: Any, message: str) -> NoReturn:
        raise ManifestError(message, where=f"{self._file}:{event.start_mark.line + 1}")


def plain_value(word: str) -> Any:
    """Return what an unquoted word means: true, false, null, a number as JSON writes it, or else the text itself.

    >>> [plain_value(word) for word in ("7", "0.5", "true", "no", "010", "1e3", "1:30")]
    [7, 0.5, True, 'no', '010', '1e3', '1:30']

    Raises:
        ValueError: a number that is too long.
    """
    if word in _WORDS:
        return _WORDS[word]
    match = _NUMBER.fullmatch(word)
    if match is None:
        return word
    return _float(word) if match["fraction"] else _int(word)


def _int(word: str) -> int:
    if len(word) > MAX_DIGITS:
        raise ValueError(f"a number of {len(word)} digits")
    return int(word)


def _float(word: str) -> float:
    value = float(word)
    if value in (float("inf"), float("-inf")):
        raise ValueError(f"{word[:MAX_DIGITS]} is too large a number")
    return value


def text_problem(text: str) -> str | None:
    """Say why a text cannot be kept: it holds a NUL, or half of a surrogate pair that no file can be written with."""
    if "\0" in text:
        return "a NUL character in a text; text has none"
    try:
        text.encode()
    except UnicodeEncodeError:
        return "half of a surrogate pair in a text, which is no character"
    return None


def parse_json(text: str, file: str, *, line: int = 1) -> Document:
    """Read one JSON value; `line` is the number of the text's first line in `file`.

    Raises:
        ManifestError: not JSON, a duplicate key, NaN or Infinity; with the line.
    """
    builder = _JsonBuilder(text, file, line)
    value = builder.document()
    return Document(file=file, value=value, lines=builder.lines)


class _JsonBuilder:
    """Walks lists and mappings itself, for the lines; single values are read by the standard library."""

    _SPACE: Final = re.compile(r"[ \t\r\n]*")

    def __init__(self, text: str, file: str, line: int) -> None:
        self._text = text
        self._file = file
        self._line = line
        self._breaks = [each.start() for each in re.finditer("\n", text)]
        self._decoder = json.JSONDecoder(parse_constant=self._constant, parse_int=_int, parse_float=_float)
        self.lines: dict[Location, int] = {}

    def document(self) -> Any:
        start = self._skip(0)
        if start == len(self._text):
            self._fail(0, "empty: nothing is asked for")
        value, end = self._value(start, (), 0)
        if end != len(self._text):
            self._fail(end, "something follows the end of the JSON value")
        return value

    def _value(self, at: int, location: Location, depth: int) -> tuple[Any, int]:
        """Return the value that begins at `at`, and where the next thing begins."""
        if depth > MAX_DEPTH:
            self._fail(at, f"more than {MAX_DEPTH} lists and mappings inside one another")
        if len(self.lines) >= MAX_VALUES:
            self._fail(at, _TOO_MANY)
        self.lines.setdefault(location, self._line_of(at))
        opening = self._text[at : at + 1]
        if opening == "{":
            return self._mapping(at, location, depth)
        if opening == "[":
            return self._sequence(at, location, depth)
        return self._single(at)

    def _sequence(self, at: int, location: Location, depth: int) -> tuple[list[Any], int]:
        found: list[Any] = []
        at = self._skip(at + 1)
        while self._text[at : at + 1] != "]":
            value, at = self._value(at, (*location, len(found)), depth + 1)
            found.append(value)
            at = self._comma(at, "]")
        return found, self._skip(at + 1)

    def _mapping(self, at: int, location: Location, depth: int) -> tuple[dict[str, Any], int]:
        found: dict[str, Any] = {}
        at = self._skip(at + 1)
        while self._text[at : at + 1] != "}":
            start = at
            key, at = self._single(at)
            if not isinstance(key, str):
                self._fail(start, "a key must be a text in double quotes")
            if key in found:
                self._fail(start, f"{key!r} is there twice; keep one")
            if self._text[at : at + 1] != ":":
                self._fail(at, f"a colon must follow the key {key!r}")
            self.lines[(*location, key)] = self._line_of(start)
            found[key], at = self._value(self._skip(at + 1), (*location, key), depth + 1)
            at = self._comma(at, "}")
        return found, self._skip(at + 1)

    def _comma(self, at: int, closing: str) -> int:
        """Step over a comma that another item follows; stay on `closing`."""
        if self._text[at : at + 1] == closing:
            return at
        if self._text[at : at + 1] != ",":
            self._fail(at, f"a comma or {closing!r} is missing")
        after = self._skip(at + 1)
        if self._text[after : after + 1] == closing:
            self._fail(at, f"a comma before {closing!r}; JSON has none there")
        return after

    def _single(self, at: int) -> tuple[Any, int]:
        try:
            value, end = self._decoder.raw_decode(self._text, at)
        except json.JSONDecodeError as error:
            self._fail(error.pos, f"not JSON: {error.msg}")
        except ValueError as error:
            self._fail(at, str(error))
        if isinstance(value, str) and (problem := text_problem(value)):
            self._fail(at, problem)
        return value, self._skip(end)

    @staticmethod
    def _constant(word: str) -> NoReturn:
        raise ValueError(f"{word} is no number here")

    def _skip(self, at: int) -> int:
        match = self._SPACE.match(self._text, at)
        return match.end() if match else at

    def _line_of(self, at: int) -> int:
        return self._line + bisect_right(self._breaks, at - 1) if at else self._line

    def _fail(self, at: int, message: str) -> NoReturn:
        raise ManifestError(message, where=f"{self._file}:{self._line_of(at)}")
