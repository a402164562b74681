"""Axes, and the short ways to write their values: `4..20/8`, `0..3`, `{count: 8, from: 100}`."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from batchgen.parts import MAX_SEED

MAX_VALUES: Final = 100_000
"""Of one axis that is no range of seeds: those are never written out, so they may be as many as there are."""

MAX_LISTED: Final = 1_000_000
"""Seeds in a list, with those of its ranges."""

_MOST_SEEDS: Final = 2**63 - 1
_RANGE: Final = re.compile(r"(-?\d+(?:\.\d+)?)\.\.(-?\d+(?:\.\d+)?)(?:/(\d+(?:\.\d+)?))?", re.ASCII)
_INSTEAD: Final = "write the number itself, or several: `0..3`, `[1, 5]`, `{count: 8, from: 100}`"


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """One name with several values."""

    name: str
    values: Sequence[Any]
    """What stands in the coordinates of cells: numbers, names, `64x96`, options of a bundle, labels of prompts."""


def label(value: Any) -> str:
    """Return a value as a person wrote it; None (the axis does not touch this prompt) as a dash.

    >>> label(7.0), label(0.3), label("64x96"), label(None)
    ('7', '0.3', '64x96', '—')
    """
    if value is None:
        return "—"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def is_range(value: Any) -> bool:
    """Return whether a value is written as a range."""
    return isinstance(value, str) and _RANGE.fullmatch(value) is not None


def read_range(text: str) -> tuple[int, ...] | tuple[float, ...]:
    """Return the values of `4..20/8`, both ends among them; without a step it is 1.

    >>> read_range("4..20/8"), read_range("0.1..0.5/0.1")
    ((4, 12, 20), (0.1, 0.2, 0.3, 0.4, 0.5))

    Raises:
        ValueError: no range, the steps do not meet the end, or more than `MAX_VALUES` values.
    """
    first, _, step = _ends(text)
    count = count_range(text)
    # Decimal keeps what was typed: in binary floats 0.1 + 2 * 0.1 is 0.30000000000000004.
    exact = [first + i * step for i in range(count)]
    if all(value == value.to_integral_value() for value in exact) and "." not in text.replace("..", ""):
        return tuple(int(value) for value in exact)
    return tuple(float(value) for value in exact)


def count_range(text: str) -> int:
    """Return how many values `4..20/8` has, without making them.

    >>> count_range("4..20/8")
    3

    Raises:
        ValueError: as `read_range`.
    """
    count = _count(text, *_ends(text))
    if count > MAX_VALUES:
        raise ValueError(f"{text} has {count:,} values; an axis has at most {MAX_VALUES:,}")
    return count


def _ends(text: str) -> tuple[Decimal, Decimal, Decimal]:
    """Return first value, last value and signed step."""
    match = _RANGE.fullmatch(text)
    if match is None:
        raise ValueError(f"{text!r} is no range; one looks like 0..3 or 4..20/8")
    first, last, step = Decimal(match[1]), Decimal(match[2]), Decimal(match[3] or 1)
    if step == 0:
        raise ValueError(f"{text}: a step of 0 never arrives")
    return first, last, step if last >= first else -step


def _count(text: str, first: Decimal, last: Decimal, step: Decimal) -> int:
    steps, rest = divmod(last - first, step)
    if rest:
        nearest = first + steps * step
        raise ValueError(f"{text}: steps of {abs(step)} do not meet {last}; the last before it is {nearest}")
    return int(steps) + 1


def read_seeds(value: Any) -> Sequence[int]:
    """Return the seeds of `0..3`, `7`, `1,5`, `[0..3, 10]` or `{count: 8, from: 100}`; a range stays a `range`.

    Raises:
        ValueError: something else, twice the same seed, or a seed outside 0 to 2^64-1.
    """
    if isinstance(value, Mapping):
        return _counted_seeds(value)
    if isinstance(value, list | tuple):
        return _listed_seeds(value)
    if is_range(value):
        return _seed_range(value)
    if isinstance(value, str) and "," in value:
        return _listed_seeds([_number(word.strip()) for word in value.split(",")])
    return (read_seed(_number(value)),)


def read_seed(value: Any) -> int:
    """Return one seed.

    Raises:
        ValueError: no whole number from 0 to 2^64-1; says what to write instead.
    """
    if type(value) is int and value == -1:
        raise ValueError(f"seed -1: a random seed could not be made again; {_INSTEAD}")
    if type(value) is not int or not 0 <= value <= MAX_SEED:
        raise ValueError(f"a seed is a whole number from 0 to {MAX_SEED}, not {value!r}; {_INSTEAD}")
    return value


def _number(value: Any) -> Any:
    """Return the number in a word of the command line: `--seeds 7`."""
    return int(value) if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,30}", value) else value


def _counted_seeds(value: Mapping[str, Any]) -> range:
    if not value.keys() <= {"count", "from"} or "count" not in value:
        raise ValueError(
            f"seeds: a mapping has count and from, such as {{count: 8, from: 100}}, not {', '.join(value)}"
        )
    count, first = value["count"], read_seed(value.get("from", 0))
    if type(count) is not int or count < 1:
        raise ValueError(f"seeds: count must be a whole number, at least 1, not {count!r}")
    read_seed(first + count - 1)
    return _few_enough(range(first, first + count))


def _listed_seeds(value: Sequence[Any]) -> tuple[int, ...]:
    if not value:
        raise ValueError("seeds: the list is empty; leave it out for seed 0")
    found: list[int] = []
    for item in value:
        found.extend(_written_out(_seed_range(item)) if is_range(item) else (read_seed(item),))
        if len(found) > MAX_LISTED:
            raise ValueError(f"seeds: more than {MAX_LISTED:,} in a list; a single range may be of any length")
    twice = next(
        (seed for seed, following in zip(sorted(found), sorted(found)[1:], strict=False) if seed == following), None
    )
    if twice is not None:
        raise ValueError(f"seed {twice} is there twice")
    return tuple(found)


def _seed_range(text: str) -> range:
    first, last, step = _ends(text)
    _count(text, first, last, step)
    for end in (first, last, step):
        if end != end.to_integral_value():
            raise ValueError(f"{text}: seeds are whole numbers")
    start, stop = read_seed(int(first)), read_seed(int(last))
    return _few_enough(range(start, stop + (1 if step > 0 else -1), int(step)))


def _few_enough(seeds: range) -> range:
    # Python cannot give the length of a longer one.
    if abs(seeds.stop - seeds.start) > _MOST_SEEDS:
        raise ValueError(f"seeds: more than {_MOST_SEEDS} at once")
    return seeds


def _written_out(seeds: range) -> range:
    if len(seeds) > MAX_VALUES:
        raise ValueError(f"seeds: a range of {len(seeds):,} inside a list; write it alone, `{seeds[0]}..{seeds[-1]}`")
    return seeds
