"""How `(a word:1.2)` is read in a prompt: as ComfyUI reads it, as A1111's web UI does, or not at all.

Text in, weighted segments out; no torch. Whatever a prompt holds, reading it never fails: what is no syntax is text.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

Emphasis = Literal["comfy", "a1111", "none"]

STRONGER = 1.1
"""What a pair of round brackets multiplies the weight by."""

_COMFY_SYMBOL = re.compile(r"\\[()]|.", re.DOTALL)
_A1111_SYMBOL = re.compile(r"\\[()\[\]\\]|:\s*[+-]?[.\d]+\s*\)|[()\[\]]|[^\\()\[\]:]+|.", re.DOTALL)
_BREAK = re.compile(r"\s*\bBREAK\b\s*")


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
    waiting: list[tuple[Sequence[str], float]] = [(_COMFY_SYMBOL.findall(prompt), 1.0)]
    while waiting:
        symbols, weight = waiting.pop()
        parts = _split_at_brackets(symbols)
        if len(parts) == 1 and not _is_bracketed(parts[0]):
            yield Segment("".join(symbol[-1] if len(symbol) > 1 else symbol for symbol in parts[0]), weight)
            continue
        # The last part goes in first, so that the first is read next.
        waiting += [_opened(part, weight) if _is_bracketed(part) else (part, weight) for part in reversed(parts)]


def _split_at_brackets(symbols: Sequence[str]) -> list[Sequence[str]]:
    """Cut before and after every outermost pair of brackets."""
    parts: list[Sequence[str]] = []
    depth, begin = 0, 0
    for place, symbol in enumerate(symbols):
        if symbol == "(":
            if depth == 0 and place > begin:
                parts.append(symbols[begin:place])
                begin = place
            depth += 1
        elif symbol == ")":
            depth -= 1
            if depth == 0:
                parts.append(symbols[begin : place + 1])
                begin = place + 1
    if begin < len(symbols):
        parts.append(symbols[begin:])
    return parts


def _is_bracketed(part: Sequence[str]) -> bool:
    return len(part) >= 2 and part[0] == "(" and part[-1] == ")"


def _opened(part: Sequence[str], weight: float) -> tuple[Sequence[str], float]:
    """Take the brackets off, and the number before the closing one, which is the new weight."""
    inside = part[1:-1]
    colon = max((place for place, symbol in enumerate(inside) if symbol == ":"), default=0)
    number = _number("".join(inside[colon + 1 :])) if colon > 0 else None
    return (inside, weight * STRONGER) if number is None else (inside[:colon], number)


def _number(text: str) -> float | None:
    """Return the finite number that `text` is. An infinite weight would only make a picture of NaN."""
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def _a1111(prompt: str) -> Iterator[Segment]:
    """Read as A1111 does: `()` and `[]` multiply and divide by 1.1, `(x:1.2)` multiplies, BREAK begins a chunk."""
    pieces: list[tuple[str, float]] = []
    open_at: dict[str, list[int]] = {"(": [], "[": []}

    def multiply(begin: int, factor: float) -> None:
        pieces[begin:] = [(text, weight * factor) for text, weight in pieces[begin:]]

    for symbol in _A1111_SYMBOL.findall(prompt):
        if symbol in open_at:
            open_at[symbol].append(len(pieces))
        elif symbol == ")" and open_at["("]:
            multiply(open_at["("].pop(), STRONGER)
        elif symbol == "]" and open_at["["]:
            multiply(open_at["["].pop(), 1 / STRONGER)
        elif symbol[0] == ":" and len(symbol) > 1 and open_at["("] and (number := _number(symbol[1:-1])) is not None:
            multiply(open_at["("].pop(), number)
        else:
            pieces.append((symbol[1:] if symbol[0] == "\\" and len(symbol) > 1 else symbol, 1.0))
    for begin in open_at["("]:
        multiply(begin, STRONGER)
    for begin in open_at["["]:
        multiply(begin, 1 / STRONGER)
    yield from _with_breaks(_joined(pieces))


def _joined(pieces: Sequence[tuple[str, float]]) -> Iterator[tuple[str, float]]:
    """Join neighbours of equal weight: words are tokenized together where nothing parts them."""
    text, weight = "", 1.0
    for each, its in pieces:
        if its != weight and text:
            yield text, weight
            text = ""
        text, weight = text + each, its
    if text:
        yield text, weight


def _with_breaks(pieces: Iterator[tuple[str, float]]) -> Iterator[Segment]:
    for text, weight in pieces:
        for place, part in enumerate(_BREAK.split(text)):
            if part or place:
                yield Segment(part, weight, new_chunk=place > 0)
