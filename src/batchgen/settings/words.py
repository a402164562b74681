"""Command-line words `name=value`: settings, and fields with one value or several.

A comma outside of quotes makes a sweep, also in `prompt=a red circle, big`: prompts are better given by `--prompt`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from batchgen.errors import ConfError

SETTINGS = ("runtime", "output", "paths", "on_finish")
"""What stands in front of settings, which have one value for a run; everything else varies from picture to picture."""

Values = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What was said on the command line, as plain Python values. `${...}` in them is text and stays text."""

    settings: tuple[tuple[str, Any], ...] = ()
    """Group choices such as `("runtime", "cuda")` and values such as `("runtime.batch", 4)`, in the order given."""

    fields: Mapping[str, Values] = field(default_factory=lambda: MappingProxyType({}))
    """Everything else, not yet judged: recipe fields, `model`, `sampler`, `size`, prompt variables; with all values."""


def parse_words(words: Sequence[str]) -> Words:
    """Read `name=value` words.

    >>> parse_words(["steps=10,20", "runtime.batch=4"])
    Words(settings=(('runtime.batch', 4),), fields=mappingproxy({'steps': (10, 20)}))

    Raises:
        ConfError: a word is not in the grammar, uses what is refused, or a name is given twice.
    """
    if not words:
        return Words()
    from batchgen.settings.grammar import parse  # noqa: PLC0415 - Hydra's parser: 0.1 s that most runs need not pay

    settings: list[tuple[str, Any]] = []
    fields: dict[str, Values] = {}
    for word in words:
        name, values = parse(word)
        if name in fields or name in dict(settings):
            raise ConfError(f"{name} is given twice; several values are written {name}=A,B", where=word)
        if name.split(".")[0] not in SETTINGS:
            fields[name] = values
        elif len(values) == 1:
            settings.append((name, values[0]))
        else:
            raise ConfError(f"{name} has one value for a run; a list is written {name}=[A,B]", where=word)
    return Words(settings=tuple(settings), fields=MappingProxyType(fields))
