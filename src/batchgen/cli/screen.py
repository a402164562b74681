"""What a terminal shows. A name, a reason or a record may be a stranger's, and a terminal obeys what is written to it.

Only a terminal is guarded: what goes into a file or another program stays byte for byte as it was said.
"""

import re
import sys
from io import TextIOWrapper
from typing import Any, TextIO, cast

MOST = 4000
"""Characters of an error. It may have to name every model, and must not be a manifest of 60 MB."""

_OBEYED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
"""Control characters but tab and line feed; what turns the direction of writing round; halves of characters."""
_PROGRESS = re.compile("\r|\x1b\\[A")
"""What a progress bar moves by: to the beginning of the line, and to the line above."""


def one_line(error: object) -> str:
    """Return what an error says in one line that is not without end."""
    text = _OBEYED.sub("?", str(error)).replace("\n", " ").replace("\t", " ")
    return text if len(text) <= MOST else f"{text[:MOST]}..."


def guard_terminal() -> None:
    """From now on let neither output nor errors give orders to the terminal they go to, if they go to one.

    Half a character, which JSON of a stranger may hold, is written as JSON escapes it.
    """
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if isinstance(stream, TextIOWrapper) and stream.errors in ("strict", "surrogateescape"):
            stream.reconfigure(errors="backslashreplace")
        if stream is not None and stream.isatty():
            setattr(sys, name, cast("TextIO", _Guarded(stream, moves=name == "stderr")))


class _Guarded:
    """A terminal's stream that writes a question mark for each character it would obey."""

    def __init__(self, stream: TextIO, *, moves: bool) -> None:
        self._stream, self._moves = stream, moves

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        """Write `text`; a progress bar on stderr may move the cursor."""
        pieces = re.split(f"({_PROGRESS.pattern})", text) if self._moves else [text]
        self._stream.write("".join(each if i % 2 else _OBEYED.sub("?", each) for i, each in enumerate(pieces)))
        return len(text)
