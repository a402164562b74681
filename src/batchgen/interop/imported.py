"""What any reader of other people's work yields: recipe fields as a person writes them, and what could not be said."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import Any, Final, Literal

from batchgen.errors import UsageError

Kind = Literal["checkpoint", "lora", "vae", "upscaler", "embedding"]
"""What a file of weights is for."""

RESAMPLING: Final = ("nearest", "bilinear", "bicubic", "lanczos")
"""Ways to enlarge a picture that need no file of weights."""

_SHOWN: Final = 60
"""Characters of somebody's words in an error."""

_ENDINGS: Final = frozenset({".safetensors", ".sft", ".ckpt", ".pt", ".pth", ".bin", ".gguf"})


class Unreadable(UsageError):
    """A file holds nothing from which a picture could be made again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A file of weights that a recipe names."""

    kind: Kind
    name: str = ""
    """As it was written, with `/` between folders; empty where only the hash is known."""
    hash: str = ""
    """Hex digits as they were written: 8 (A1111's old way), 10 (SHA-256, cut), 12 (A1111's of adapters: SHA-256 of what
    follows the header, cut) or 64."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """Something that the source says and a recipe here cannot."""

    what: str
    """A node's class or a key."""
    reason: str
    where: str = ""
    """`node 12`, where there are nodes."""
    said: str = ""
    """The source's own words, shortened."""

    def __str__(self) -> str:
        """`node 12 (ControlNetApply): ...`, or `Variation seed '7': ...`."""
        said = f" {self.said!r}" if self.said else ""
        return f"{self.where} ({self.what}): {self.reason}" if self.where else f"{self.what}{said}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Imported:
    """One picture to make, as its source says it."""

    source: str
    """The file it was read from."""
    recipe: Mapping[str, Any]
    """Fields as a person writes them in a manifest, without `model`."""
    checkpoint: Needed | None = None
    files: tuple[Needed, ...] = ()
    """What else of weights the recipe names, in fields or in prompts."""
    name: str | None = None
    """Of the prompt's entry."""
    warnings: tuple[str, ...] = ()
    """What is said, but will not be the same to the last pixel; or had to be guessed."""
    refused: tuple[Refusal, ...] = ()
    """What is not in `recipe`, though it changed the picture. Without leave to ignore it, it is an error."""


def frozen(recipe: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the fields that say something: those that are None are left out."""
    return MappingProxyType({name: value for name, value in recipe.items() if value is not None})


@dataclass(slots=True)
class Findings:
    """What a reader notices on its way."""

    # Of a dict the keys are in order and each is there once.
    warnings: dict[str, None] = field(default_factory=dict)
    refused: dict[Refusal, None] = field(default_factory=dict)

    def warn(self, text: str) -> None:
        """Keep a warning once."""
        self.warnings[text] = None

    def refuse(self, what: str, reason: str, where: str = "", said: str = "") -> None:
        """Keep a refusal once."""
        self.refused[Refusal(what=what, reason=reason, where=where, said=said[:_SHOWN])] = None


def posix(name: str) -> str:
    r"""Return a file's name with `/` between its folders.

    >>> posix("sdxl\\base.safetensors")
    'sdxl/base.safetensors'
    """
    return name.strip().replace("\\", "/")


def stem(name: str) -> str:
    """Return a file's name without its folders and without the ending of a file of weights.

    >>> stem("sdxl/dreamshaper_8.5.safetensors"), stem("dreamshaper_8.5")
    ('dreamshaper_8.5', 'dreamshaper_8.5')
    """
    path = PurePosixPath(posix(name))
    return path.stem if path.suffix.lower() in _ENDINGS else path.name
