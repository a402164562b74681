"""What A1111's web UI reads in a prompt beyond emphasis, which a recipe here cannot say: found, and named."""

import re
from collections.abc import Iterator
from typing import Final

_NETWORK: Final = re.compile(r"<(\w+):([^<>]+)>")
_AND: Final = re.compile(r"\bAND\b")
_SYMBOL: Final = re.compile(r"\\.|[()\[\]|:]|[^\\()\[\]|:]+|\\", re.DOTALL)
_NUMBER: Final = re.compile(r"\s*\d+(?:\.\d*)?\s*|\s*\.\d+\s*")
_LONGEST_NUMBER: Final = 64

NETWORKS: Final = ("lora",)


def adapters(prompt: str) -> Iterator[str]:
    """Yield the names of the LoRAs that a prompt names.

    >>> list(adapters("a heron <lora:grain:0.8>, <lora:ink:te=1:unet=0.5>"))
    ['grain', 'ink']
    """
    yield from (content.split(":")[0] for kind, content in _NETWORK.findall(prompt) if kind == "lora")


def beyond(prompt: str) -> Iterator[tuple[str, str]]:
    """Yield what a prompt holds that is not honoured here: its name, and the words.

    >>> list(beyond("a [cat:dog:0.5] AND a [red|blue] bird, [faint] (strong:1.2)"))
    [('AND', 'AND'), ('prompt editing', '[cat:dog:0.5]'), ('alternation', '[red|blue]')]
    """
    for kind, content in _NETWORK.findall(prompt):
        if kind not in NETWORKS:
            yield kind, f"<{kind}:{content}>"
        elif "dyn=" in content or len([each for each in content.split(":")[1:] if "=" not in each]) > 2:
            yield "dyn", f"<{kind}:{content}>"
    text = _NETWORK.sub("", prompt)
    if _AND.search(text):
        yield "AND", "AND"
    yield from _brackets(text)


class _Open:
    """A bracket that is open: what stands in it, outside of brackets in it."""

    def __init__(self, bracket: str, start: int) -> None:
        self.bracket = bracket
        self.start = start
        self.bar = False
        self.after_colon: str | None = None
        """What follows the last colon; None before the first."""


def _brackets(text: str) -> Iterator[tuple[str, str]]:
    opened: list[_Open] = []
    place = 0
    for symbol in _SYMBOL.findall(text):
        inside = opened[-1] if opened else None
        place += len(symbol)
        if symbol in ("(", "["):
            if inside:
                _take(inside, symbol)
            opened.append(_Open(symbol, place - 1))
        elif symbol in (")", "]"):
            if inside and inside.bracket == ("[" if symbol == "]" else "("):
                opened.pop()
                if symbol == "]" and (name := _meaning(inside)):
                    yield name, text[inside.start : place]
        elif inside:
            _take(inside, symbol)


def _take(inside: _Open, symbol: str) -> None:
    if symbol == ":":
        inside.after_colon = ""
    elif symbol == "|":
        inside.bar = True
    elif inside.after_colon is not None:
        # A number is short, and a prompt may be long.
        inside.after_colon = (inside.after_colon + symbol)[:_LONGEST_NUMBER]


def _meaning(bracket: _Open) -> str | None:
    if bracket.bar:
        return "alternation"
    if bracket.after_colon is not None and _NUMBER.fullmatch(bracket.after_colon):
        return "prompt editing"
    return None
