"""Which installed font shows which character, and what stands for a character that none of them has: never a box.

DejaVu Sans, which comes with matplotlib, has Latin, Greek, Cyrillic, Hebrew, Arabic and many signs. Only for what it
lacks are the fonts of the machine looked through.
"""

import unicodedata
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Final

from matplotlib import get_data_path
from matplotlib.font_manager import findSystemFonts
from matplotlib.ft2font import FT2Font, LoadFlags

SHIPPED: Final = str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf"))

_NEVER: Final = ("lastresort", "blank", "notdef", "csur", "color", "colr")
"""In the names of fonts that show boxes, nothing, what is no text, or colours that are not kept in outlines."""

_RATHER_NOT: Final = (
    *("bold", "italic", "oblique", "black", "heavy", "light", "thin", "medium", "condensed", "narrow", "display"),
    *("mono", "serif", "symbol", "unifont", "looped", "ui"),
)
"""In the names of fonts that are taken where a plainer one has not the character."""

_DIRECTIONS: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""They turn around what follows, so that it reads as what it is not; a label shows that they are there."""


class Fonts:
    """Fonts in files, and the shipped one before them."""

    def __init__(self, files: Iterable[str] = ()) -> None:
        """Take these files, the plainest first; they are opened once something is missing."""
        known = {Path(file).stem.lower(): file for file in sorted(files, reverse=True)}
        kept = [name for name in known if not any(word in name for word in _NEVER)]
        self._files = [known[name] for name in sorted(kept, key=_preference)]
        self._shipped = FT2Font(SHIPPED)
        self._found: dict[str, str | None] = {}

    def look_for(self, text: str) -> None:
        """Find fonts for all characters of `text` at once: each pass over the files of a machine takes a while."""
        wanted = {each for each in set(text) - self._found.keys() if not is_invisible(each)}
        shipped = {each for each in wanted if _has(self._shipped, each)}
        self._found |= dict.fromkeys(shipped, SHIPPED)
        wanted = {each for each in wanted - shipped if _is_character(each)}
        for file in self._files if wanted else ():
            found = _shown_by(file, wanted)
            self._found |= dict.fromkeys(found, file)
            wanted -= found
            if not wanted:
                break
        self._found |= dict.fromkeys(set(text) - self._found.keys())

    def chain(self, text: str) -> tuple[str, ...]:
        """Return the files of the fonts that show `text`, the shipped one first."""
        self.look_for(text)
        return tuple(dict.fromkeys((SHIPPED, *(file for each in text if (file := self._found[each])))))

    def readable(self, text: str) -> str:
        r"""Return `text` with what no font shows written out: `\u5f37`, or `[fox face]` where a sign has a name.

        Lines may break around each of them: there stands a zero width space. What would have changed or joined it is
        left out.
        """
        self.look_for(text)
        words: list[str] = []
        written = False
        for each in text:
            if is_invisible(each):
                words += [] if written else [each]
                continue
            written = self._found[each] is None
            words.append(f"\u200b{written_out(each)}\u200b" if written else each)
        return "".join(words)


@cache
def installed() -> Fonts:
    """Return the fonts of this machine. What is installed while the process runs is not seen."""
    return Fonts(findSystemFonts())


def is_invisible(character: str) -> bool:
    """Say whether a character is there for its effect on others: joiners, marks of direction, selectors of variants."""
    if unicodedata.category(character) == "Cf":
        return unicodedata.bidirectional(character) == "BN" or character in "\u200e\u200f\u061c"
    return character == "\u034f" or "\ufe00" <= character <= "\ufe0f" or "\U000e0100" <= character <= "\U000e01ef"


def written_out(character: str) -> str:
    r"""Return a character in ASCII.

    >>> written_out("強"), written_out("\U00013000"), written_out("\U0001f98a")
    ('\\u5f37', '\\U00013000', '[fox face]')
    """
    name = unicodedata.name(character, "").lower()
    if name and unicodedata.category(character) in ("So", "Sk"):
        return f"[{name}]"
    return f"\\u{ord(character):04x}" if ord(character) < 0x10000 else f"\\U{ord(character):08x}"


def _preference(stem: str) -> tuple[int, bool, str]:
    return sum(word in stem for word in _RATHER_NOT), "noto" not in stem, stem


def _is_character(character: str) -> bool:
    """Say whether fonts agree on what a character is: not on controls, private ones and such as do not exist."""
    return character not in _DIRECTIONS and not unicodedata.category(character).startswith("C")


def _shown_by(file: str, wanted: Iterable[str]) -> set[str]:
    try:
        font = FT2Font(file)
        return {each for each in wanted if _has(font, each)} if font.scalable else set()
    except (OSError, RuntimeError):  # no font, whatever its name says
        return set()


def _has(font: FT2Font, character: str) -> bool:
    """Say whether a font has the character, and it is to be seen."""
    if character in _DIRECTIONS or not font.get_char_index(ord(character)):
        return False
    font.set_size(24, 72)
    drawn = font.load_char(ord(character), flags=LoadFlags.NO_HINTING)
    return bool(drawn.width > 0) or unicodedata.category(character) == "Zs"
