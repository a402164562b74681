"""File names: `a-red-circle_euler_20_s0_1a2b3c4d`. People read them; batchgen finds pictures by id, never by name."""

import unicodedata
from collections.abc import Sequence
from typing import Final

from batchgen.job import File, Job
from batchgen.manifest.shape import is_reserved
from batchgen.plan.expand import Cell
from batchgen.plan.sweep import label

MAX_BYTES: Final = 116
"""Of a stem in UTF-8: with `.png` or `.mp4` a name has at most 120."""

_LEAST_SLUG: Final = 24
"""Bytes of the prompt that stay, however much the axes have to say."""


def file_stem(cell: Cell, varying: Sequence[str]) -> str:
    """Return the name of a cell's picture, without its ending.

    It begins with the entry's name, or else the picture it began with and the prompt; then come the values of the axes
    that vary, the seed and eight digits of the id. Seed and id are never cut.

    Args:
        cell: The cell.
        varying: Names of axes with more than one value; `prompt` and `seed` may be among them.
    """
    first = cell.job.first
    end = f"_{cell.job.id[:8]}" if first.unsampled else f"_s{first.seed}_{cell.job.id[:8]}"
    axes = [name for name in varying if name not in ("prompt", "seed") and name in cell.coordinates]
    values = [slug(label(cell.coordinates[name])) for name in axes]
    middle = "".join(f"_{value}" for value in values if value)
    room = MAX_BYTES - len(end)
    middle = _cut(middle, room - _LEAST_SLUG)
    begin = slug(cell.name or _called(cell.job, axes), room - len(middle.encode())) or "picture"
    if is_reserved(begin):
        begin = begin.replace(".", "-", 1) if "." in begin else f"{begin}-"
    return f"{begin}{middle}{end}"


def _called(job: Job, axes: Sequence[str]) -> str:
    """Return what a picture is called after: the one it begins with, unless an axis says which, and its prompt."""
    source = job.first.init_image
    stem = source.name.rpartition(".")[0] if isinstance(source, File) and "init_image" not in axes else ""
    return f"{stem} {job.denoised.text.prompt}".strip()


def slug(text: str, most: int = 80) -> str:
    """Keep letters and digits of any script, with their marks; make one hyphen of everything between them.

    The result has at most `most` bytes of UTF-8, and may be empty.

    >>> slug("A fox (red:1.2), at night"), slug("dpmpp_2m"), slug("64x96"), slug("../..")
    ('A-fox-red-1.2-at-night', 'dpmpp_2m', '64x96', '')
    """
    # What is cut off below need not be looked at: a character has at least one byte.
    normal = unicodedata.normalize("NFC", text[: 4 * MAX_BYTES])
    kept = "".join(character if _keeps(normal, i) else "-" for i, character in enumerate(normal))
    return _cut("-".join(word for word in kept.split("-") if word), most)


def _keeps(text: str, i: int) -> bool:
    character = text[i]
    if character in "._":  # inside a word only: 1.2, dpmpp_2m
        return 0 < i < len(text) - 1 and text[i - 1].isalnum() and text[i + 1].isalnum()
    return character.isalnum() or unicodedata.category(character).startswith("M")


def _cut(text: str, most: int) -> str:
    """Return as much of a text as fits into `most` bytes."""
    return text.encode()[: max(most, 0)].decode(errors="ignore").rstrip("-._")
