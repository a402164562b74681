"""The grammar of A1111's `parameters` texts, as its users and its relatives have written them since 2022."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from batchgen.interop.a1111 import NEGATIVE

_KEY: Final = re.compile(r"\s*([^\W_][^,:\n]*)(:|,|$)")
_VALUE: Final = re.compile(r'\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_FEWEST: Final = 3
"""Items of a line of parameters. A1111's own rule: a prompt's last line may hold a colon too."""

_LONGEST: Final = 65536
"""Characters of one JSON value: what never closes is not searched to the end of a long line again and again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Infotext:
    """What a `parameters` text says."""

    prompt: str
    negative_prompt: str
    fields: Mapping[str, str]
    """By A1111's keys: `Steps`, `Sampler`, `Seed`, ..."""


def split(text: str) -> Infotext:
    """Take a `parameters` text apart.

    The line of parameters is the last one of at least three items; programs that resolve templates write lines such as
    `Template: ...` after it, which become fields of that name. A text without such a line is all prompt.
    """
    lines = text.replace("\r\n", "\n").strip().split("\n")
    at = _params_line(lines)
    if at is None:
        return _infotext(lines, {}, {})
    trailing: dict[str, str] = {}
    for line in lines[at + 1 :]:
        label, _, rest = line.partition(":")
        trailing.setdefault(label.strip(), rest.strip())
    return _infotext(lines[:at], dict(_items(lines[at])), trailing)


def _infotext(lines: list[str], fields: dict[str, str], trailing: dict[str, str]) -> Infotext:
    at = next((number for number, line in enumerate(lines) if line.strip().startswith(NEGATIVE)), len(lines))
    negative = "\n".join(lines[at:]).strip().removeprefix(NEGATIVE).strip()
    return Infotext(
        prompt="\n".join(lines[:at]).strip(),
        negative_prompt=negative,
        fields=MappingProxyType(trailing | fields),
    )


def _params_line(lines: list[str]) -> int | None:
    last = len(lines) - 1
    if len(dict(_items(lines[last]))) >= _FEWEST:
        return last
    # Further up only what cannot be a prompt's own line counts.
    starts = (at for at in range(last - 1, -1, -1) if lines[at].lstrip().startswith("Steps: "))
    return next((at for at in starts if len(dict(_items(lines[at]))) >= _FEWEST), None)


def _items(line: str) -> Iterator[tuple[str, str]]:
    """Yield key and value; a key that stands alone is its own value.

    >>> dict(_items('Steps: 20, Tiling, Model: "a, b", Civitai resources: [{"a": 1, "b": 2}], Size: 8x8'))
    {'Steps': '20', 'Tiling': 'Tiling', 'Model': 'a, b', 'Civitai resources': '[{"a": 1, "b": 2}]', 'Size': '8x8'}
    """
    at = 0
    while at < len(line) and (key := _KEY.match(line, at)):
        at = key.end()
        if key[2] != ":":
            yield key[1].rstrip(), key[1].rstrip()
            continue
        value, at = _value(line, at)
        yield key[1].rstrip(), value


def _value(line: str, at: int) -> tuple[str, int]:
    """Return the value that begins at `at`, and where the next item begins.

    Values with a comma, colon or line feed are JSON texts; others write lists and mappings without quotes.
    """
    begins = _skipped(line, at)
    if line[begins : begins + 1] in ("[", "{", '"'):
        try:
            value, length = json.JSONDecoder().raw_decode(line[begins : begins + _LONGEST])
        except (ValueError, RecursionError):
            pass
        else:
            end = begins + length
            after = _skipped(line, end)
            if line[after : after + 1] in ("", ","):
                return (value if isinstance(value, str) else line[begins:end]), after + 1
    match = _VALUE.match(line, at)
    return (match[1].strip(), match.end()) if match else (line[at:].strip(), len(line))


def _skipped(line: str, at: int) -> int:
    """Return where white space at a place ends."""
    while at < len(line) and line[at].isspace():
        at += 1
    return at
