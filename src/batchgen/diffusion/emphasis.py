"""How `(a word:1.2)` is read in a prompt: as ComfyUI reads it, as A1111's web UI does, or not at all.

Text in, weighted segments out; no torch. Whatever a prompt holds, reading it never fails: what is no syntax is text.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from operator import itemgetter
from typing import Literal

Emphasis = Literal["comfy", "a1111", "none"]

STRONGER = 1.1
"""What a pair of round brackets multiplies the weight by."""

_COMFY_SYMBOL = re.compile(r"\\[()]|.", re.DOTALL)
_A1111_SYMBOL = re.compile(r"\\[()\[\]\\]|:\s*[+-]?[.\d]+\s*\)|[()\[\]]|[^\\()\[\]:]+|.", re.DOTALL)
_BREAK = re.compile(r"\bBREAK\b")
_OPENING = frozenset("([")


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of the prompt whose words weigh the same."""

    text: str
    weight: float = 1.0
    new_chunk: bool = False
    """The segment begins a chunk of its own (A1111's word BREAK stood before it)."""


def read_emphasis(prompt: str, emphasis: Emphasis) -> tuple[Segment, ...]:
    """Return the weighted segments of `prompt`, in order; none for an empty prompt.

    >>> read_emphasis("a (red:1.3) (circle)", "comfy")  # doctest: +NORMALIZE_WHITESPACE
    (Segment(text='a ', weight=1.0, new_chunk=False), Segment(text='red', weight=1.3, new_chunk=False),
     Segment(text=' ', weight=1.0, new_chunk=False), Segment(text='circle', weight=1.1, new_chunk=False))
    """
    if emphasis == "none":
        return (Segment(prompt),) if prompt else ()
    return tuple(_comfy(prompt) if emphasis == "comfy" else _a1111(prompt))


def _comfy(prompt: str) -> Iterator[Segment]:
    """Read as ComfyUI does: a number replaces the weight around it, brackets without one multiply it by 1.1.

    Brackets that do not match are text. That holds for everything after a `)` too many as well, a smiley's for one.
    """
    brackets = _Brackets(_COMFY_SYMBOL.findall(prompt))
    waiting = [(0, len(brackets.symbols), 1.0)]
    while waiting:
        begin, end, weight = waiting.pop()
        if begin == end:
            continue
        cut = brackets.first_part(begin, end)
        # What follows goes in first, so that it is read last.
        waiting.append((cut, end, weight))
        if brackets.is_pair(begin, cut):
            waiting.append(brackets.opened(begin, cut, weight))
        else:
            yield Segment(brackets.text(begin, cut), weight)


class _Brackets:
    """The symbols of a prompt, and what is to be known of each place at once, however deep brackets lie in another.

    Stretches of symbols are given by where they begin and where they end, the end not among them.
    """

    def __init__(self, symbols: Sequence[str]) -> None:
        self.symbols = symbols
        self._closed: dict[int, int] = {}
        """Where each `(` is closed that is."""
        self._before: list[tuple[int, int]] = []
        """The nearest bracket and the nearest colon before each place; -1 for none."""
        opened: list[int] = []
        bracket = colon = -1
        for place, symbol in enumerate(symbols):
            self._before.append((bracket, colon))
            if symbol == "(":
                opened.append(place)
            elif symbol == ")" and opened:
                self._closed[opened.pop()] = place
            bracket, colon = place if symbol in {"(", ")"} else bracket, place if symbol == ":" else colon

    def first_part(self, begin: int, end: int) -> int:
        """Return where the first outermost pair of brackets ends, or the text before it."""
        if self.symbols[begin] == "(":
            return min(self._closed.get(begin, end) + 1, end)
        depth = 0
        for place in range(begin, end):
            symbol = self.symbols[place]
            if symbol == "(" and depth == 0:
                return place
            depth += (symbol == "(") - (symbol == ")")
        return end

    def is_pair(self, begin: int, end: int) -> bool:
        return end - begin >= 2 and self.symbols[begin] == "(" and self.symbols[end - 1] == ")"

    def opened(self, begin: int, end: int, weight: float) -> tuple[int, int, float]:
        """Take the brackets off, and the number before the closing one, which is the new weight."""
        begin, end = begin + 1, end - 1
        bracket, colon = self._before[end]
        # No number has a bracket in it.
        number = _number("".join(self.symbols[colon + 1 : end])) if colon > max(begin, bracket) else None
        return (begin, end, weight * STRONGER) if number is None else (begin, colon, number)

    def text(self, begin: int, end: int) -> str:
        return "".join(symbol[-1] if len(symbol) > 1 else symbol for symbol in self.symbols[begin:end])


def _number(text: str) -> float | None:
    """Return the finite number that `text` is. An infinite weight would only make a picture of NaN."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _a1111(prompt: str) -> Iterator[Segment]:
    """Read as A1111 does: `()` and `[]` multiply and divide by 1.1, `(x:1.2)` multiplies, BREAK begins a chunk."""
    symbols = _A1111_SYMBOL.findall(prompt)
    factors, closing = _factors(symbols)
    # Round brackets lie in round ones and square in square, but `(a [b) c]` is possible: a weight of each kind.
    weights = {"(": [1.0], "[": [1.0]}
    pieces: list[tuple[str, float]] = []
    for place, symbol in enumerate(symbols):
        if place in factors:
            weights[symbol].append(weights[symbol][-1] * factors[place])
        elif place in closing:
            weights[closing[place]].pop()
        else:
            text = symbol[1:] if symbol[0] == "\\" and len(symbol) > 1 else symbol
            pieces.append((text, weights["("][-1] * weights["["][-1]))
    # Neighbours of equal weight are joined: words are tokenized together where nothing parts them.
    joined = ((weight, "".join(text for text, _ in same)) for weight, same in groupby(pieces, key=itemgetter(1)))
    for weight, text in joined:
        yield from _with_breaks(text, weight)


def _factors(symbols: Sequence[str]) -> tuple[dict[int, float], dict[int, str]]:
    """Return what each opening bracket multiplies by, and which bracket each closing one closes, by their places."""
    factors = {
        place: STRONGER if symbol == "(" else 1 / STRONGER for place, symbol in enumerate(symbols) if symbol in _OPENING
    }
    closing: dict[int, str] = {}
    opened: dict[str, list[int]] = {"(": [], "[": []}
    for place, symbol in enumerate(symbols):
        bracket = "[" if symbol == "]" else "("
        if place in factors:
            opened[symbol].append(place)
        elif opened[bracket] and (factor := _closing_factor(symbol)) is not None:
            factors[opened[bracket].pop()] = factor
            closing[place] = bracket
    return factors, closing


def _closing_factor(symbol: str) -> float | None:
    """Return the factor of the brackets that `symbol` closes; None if it closes none."""
    if symbol == ")":
        return STRONGER
    if symbol == "]":
        return 1 / STRONGER
    return _number(symbol[1:-1]) if symbol[0] == ":" and len(symbol) > 1 else None


def _with_breaks(text: str, weight: float) -> Iterator[Segment]:
    parts = _BREAK.split(text)
    last = len(parts) - 1
    for place, part in enumerate(parts):
        # White space around the word belongs to it.
        words = part.lstrip() if place > 0 else part
        words = words.rstrip() if place < last else words
        if words or place > 0:
            yield Segment(words, weight, new_chunk=place > 0)
