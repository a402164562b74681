"""What one run shall make, as its author wrote it: plain frozen values, not yet judged."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from batchgen.manifest.reading import Location

Kind = Literal["prompt", "template", "file", "pictures"]

CELLS: Final = (16, 2048)
"""Fewest and most pixels of the longer side of a place on a sheet."""

KINDS: Final[tuple[Kind, ...]] = ("prompt", "template", "file", "pictures")
"""What an entry of `prompts` may be; each has exactly one of these keys."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One item of `prompts`: a text, a template, a file with one of these in each line, or pictures that tell one."""

    kind: Kind
    text: str
    """The prompt, kept literally; the template; or the path of the file or pattern of pictures, relative to the
    manifest."""
    fields: Mapping[str, Any] = field(default_factory=dict)
    """What else the entry says: recipe fields, `model`, `size`, the values of prompt variables, options of bundles."""
    name: str | None = None
    """Begins the names of the pictures, and labels the prompt in sheets. Not in the id."""
    note: str | None = None
    """For people. Not in the id."""
    sample: int | None = None
    """How many prompts to draw from a template; None: all of them."""
    sample_seed: int = 0
    """Of the draw. The pictures' seeds are another thing."""
    lenient: bool = False
    """Of pictures: whether those that tell nothing are passed over, and what is not understood is left out."""
    where: str = ""
    """A place to click."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Subset:
    """A random part of all cells; a larger `count` with the same seed holds the smaller one."""

    count: int
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparing:
    """How the pictures are shown beside one another. As it is by default nothing is said, and all of it chosen."""

    x: str | None = None
    """The axis whose values are columns."""
    y: str | None = None
    """The axis whose values are rows."""
    page: str | None = None
    """The axis of which each value has a sheet of its own."""
    against: str | Mapping[str, Any] | None = None
    """What the others are measured against: axis -> value such as `{steps: max}`, or that as a text, or a picture."""
    columns: int | None = None
    """Of a sheet, at most: at least 1. Without a grid: pictures in a row."""
    cell: int | None = None
    """Pixels of the longer side of a place, `CELLS` at the ends."""
    grid: bool = True
    """False: the pictures one after another, in the order in which they were asked for."""

    @property
    def sides(self) -> dict[str, str]:
        """Axes by the side that they are on, where they are said."""
        said = {"x": self.x, "y": self.y, "page": self.page}
        return {side: axis for side, axis in said.items() if axis is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What one run shall make."""

    name: str
    """Of the run: outputs/<name>/."""
    file: str
    """As the person wrote it; empty where there is none."""
    folder: Path
    """What prompt files are relative to."""
    set: Mapping[str, Any] = field(default_factory=dict)
    prompts: tuple[Entry, ...] = ()
    seeds: Any = None
    """As written (`0..3`, a list, `{count: 8, from: 100}`); None where nothing is said."""
    sweep: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    bundles: Mapping[str, Mapping[str, Mapping[str, Any]]] = field(default_factory=dict)
    zip: tuple[tuple[str, ...], ...] = ()
    exclude: tuple[Mapping[str, Any], ...] = ()
    incompatible: bool = False
    """Whether an adapter that does not fit its model leaves its cell out, instead of being an error."""
    subset: Subset | None = None
    order: Literal["grouped", "breadth"] = "grouped"
    compare: Comparing | None = field(default_factory=Comparing)
    """None: pictures only."""
    join: tuple[str, ...] = ()
    """Options of one bundle whose clips become one, in this order."""
    lines: Mapping[Location, int] = field(default_factory=dict)
    told: tuple[str, ...] = ()
    """What reading its pictures made known; a person should hear of it."""
    words: Mapping[Location, str] = field(default_factory=dict)
    """What came from the command line instead of the file: the word, by where it went."""

    def where(self, at: Location = ()) -> str | None:
        """Return the place of a value, or of the nearest thing around it: `herons.yaml:14`, or a command-line word."""
        for length in range(len(at), -1, -1):
            if (word := self.words.get(at[:length])) is not None:
                return word
            if (line := self.lines.get(at[:length])) is not None:
                return f"{self.file}:{line}"
        return self.file or None


def adhoc(name: str = "adhoc", *, folder: Path = Path()) -> Manifest:
    """Return the manifest of a run without one: everything comes from the command line."""
    return Manifest(name=name, file="", folder=folder)
