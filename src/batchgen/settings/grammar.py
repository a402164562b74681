"""Hydra's grammar of overrides, as far as it is taken. Imported only when there is a word to read.

Taken are plain values, quoted strings, lists, mappings and casts; of sweeps the simple form `a,b`, `choice()`,
`range()` and `sort()`. What would make a run depend on chance, on other files or on Hydra's own settings is refused:
`shuffle`, `interval`, `glob`, packages, additions and deletions.
"""

import math
import re
from decimal import Decimal
from fractions import Fraction
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import ChoiceSweep, Glob, IntervalSweep, Override, QuotedString, RangeSweep
from hydra.errors import HydraException

from batchgen.errors import ConfError

MAX_RANGE = 1_000_000
"""Values of one range()."""

_HOME = re.compile(r"(?<=[=\[,])~[\w/.-]*(?=$|[,\]])")
"""A path that begins in somebody's home, outside of quotes: Hydra's grammar has no `~`, and people's folders do."""

Values = tuple[Any, ...]


def parse(word: str) -> tuple[str, Values]:
    """Return the name and the values of a word; only a sweep has several.

    Raises:
        ConfError: the word is not in the grammar, or uses what is refused.
    """
    if word.startswith(("+", "~")):
        raise ConfError("a word changes a value, it neither adds nor deletes one: write name=value", where=word)
    if "=" not in word:
        raise ConfError("is not of the form name=value", where=word)
    try:
        override = OverridesParser.create().parse_override(_HOME.sub(r'"\g<0>"', word))
    except HydraException as error:
        raise ConfError(_reason(error), where=word) from error
    _refuse(override, word)
    return override.key_or_group, _values(override, word)


def _reason(error: Exception) -> str:
    """Say in one line why a word is not in the grammar. Where a function refused its arguments, the cause says why."""
    cause = str(error.__cause__) if isinstance(error.__cause__, HydraException | ValueError | TypeError) else ""
    reason = (cause or str(error) or "it does not parse").splitlines()[0].split(" expecting {")[0]
    return f"{reason}; put values with special characters in quotes: name='\"...\"', a prompt into --prompt"


def _refuse(override: Override, word: str) -> None:
    name = override.key_or_group
    if override.package is not None:
        raise ConfError("packages (@) are not for the command line", where=word)
    if not name or name.split(".")[0].split("/")[0] == "hydra":
        raise ConfError("Hydra's own settings have no effect in batchgen" if name else "no name before =", where=word)
    if "/" in name:
        raise ConfError(f"a name has no / in it; {name.replace('/', '.')!r} may be meant", where=word)


def _values(override: Override, word: str) -> Values:
    """Return the one value or the values of a sweep."""
    value: Any = override.value()
    if isinstance(value, IntervalSweep | Glob) or getattr(value, "shuffle", False):
        raise ConfError("interval, glob and shuffle are not taken; write the values out, or a range()", where=word)
    if isinstance(value, RangeSweep):
        return _range(value, word)
    if isinstance(value, ChoiceSweep):
        return tuple(_plain(each) for each in value.list)
    return (_plain(value),)


def _plain(value: Any) -> Any:
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    return value


def _range(sweep: RangeSweep, word: str) -> Values:
    """Return what `range()` means, the end left out; exactly, since 0.1 + 0.1 + 0.1 is not 0.3 in binary."""
    first, last, step = (Decimal(str(number)) for number in (sweep.start, sweep.stop, sweep.step))
    if not (first.is_finite() and last.is_finite() and step.is_finite()) or step == 0:
        raise ConfError("range(first, end, step) takes finite numbers and a step other than 0", where=word)
    count = math.ceil(Fraction(last - first) / Fraction(step))
    if not 1 <= count <= MAX_RANGE:
        raise ConfError(f"has {max(0, count)} values; a range has 1 to {MAX_RANGE}", where=word)
    whole = all(isinstance(number, int) for number in (sweep.start, sweep.stop, sweep.step))
    numbers = (first + index * step for index in range(count))
    return tuple(int(number) if whole else float(number) for number in numbers)
