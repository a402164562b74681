"""Files as values: `{files: exp7/checkpoint-*/lora.safetensors}` is an axis with a value for each file."""

import os
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from batchgen.wishes import PICTURE_SUFFIXES, PICTURES

_OF_FILES: Final = frozenset((*PICTURES, "loras", "vae", "model"))
"""Fields whose values are files."""
_WILD: Final = re.compile(r"[*?\[]")
_ENDINGS: Final = re.compile(
    rf"(?:{'|'.join(map(re.escape, (*sorted(PICTURE_SUFFIXES), '.safetensors')))})$", re.IGNORECASE
)
_WORDS: Final = re.compile(r"[\s._/-]+|\d+|[^\W\d_]+|.")


def is_pattern(name: str, value: Any) -> bool:
    """Say whether a value of the axis `name` stands for files: `{files: ...}`; of pictures also a glob or a folder."""
    if name not in _OF_FILES:
        return False
    if isinstance(value, dict) and value.keys() == {"files"} and isinstance(value["files"], str):
        return True
    return name in PICTURES and isinstance(value, str) and (bool(_WILD.search(value)) or value.endswith(("/", os.sep)))


def labels(paths: Sequence[str]) -> list[str]:
    """Return what differs in paths, whole words of it, so that each has a label of its own.

    >>> labels(["a/checkpoint-900/w.safetensors", "a/checkpoint-1000/w.safetensors"])
    ['900', '1000']
    >>> labels(["x/fox.png", "x/heron.png"]), labels(["x/fox.png"])
    (['fox', 'heron'], ['fox'])
    """
    if len(paths) == 1:
        return [_ENDINGS.sub("", Path(paths[0]).name)]
    words = [_WORDS.findall(_ENDINGS.sub("", path)) for path in paths]
    shortest = min(map(len, words))
    first = next((i for i in range(shortest) if len({each[i] for each in words}) > 1), shortest)
    last = next((i for i in range(shortest - first) if len({each[-1 - i] for each in words}) > 1), shortest - first)
    found = ["".join(each[first : len(each) - last]).strip(" ._/-") for each in words]
    # The one without a number has nothing that the others have not: its whole name says which it is.
    found = [each or _ENDINGS.sub("", Path(path).name) for each, path in zip(found, paths, strict=True)]
    return _all_different(found, [Path(path).name for path in paths], paths)


def _all_different(found: list[str], *longer: Sequence[str]) -> list[str]:
    """Return labels, of which those that are there twice say more: `fox.png` and `fox.jpg`."""
    for longer_ones in longer:
        count = Counter(found)
        found = [more if count[each] > 1 else each for each, more in zip(found, longer_ones, strict=True)]
    return found if len(set(found)) == len(found) else [*longer[-1]]
