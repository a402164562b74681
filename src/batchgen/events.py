"""What a run says. Progress bars, plain lines and logs are readers of events; nothing else prints."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """The plan is made and the run directory is held."""

    directory: Path
    asked: int
    """Different pictures that the manifest asks for."""
    done: int
    """Of these, already there."""
    rejected: int = 0
    """Asked for as well, and not to be made: a person rejected them. They are none of `asked`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Loading:
    """A model is about to be loaded, or its files to be hashed."""

    model: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A session is open."""

    model: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Attached:
    """Other adapters than before are laid beside the model's weights, or none any more."""

    adapters: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsed:
    """The largest batch of a model has taken a step and was decoded, all of it for nothing but to know."""

    model: str
    together: int
    """Pictures in the batch."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Stepped:
    """The batch in hand has taken this many steps."""

    step: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """No batch may begin now; said again and again until one does."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A picture is published and in the journal: it survives anything from here on."""

    id: str
    picture: Path
    seconds: float
    """Render time of its batch, divided by the number of pictures in it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed:
    """A job got no picture in this run."""

    id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetWritten:
    """A contact sheet is on disk."""

    sheet: Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """The run is over."""

    made: int
    failed: int
    left: int
    seconds: float
    interrupted: bool = False
    """Somebody asked it to stop before all was made."""


Event = Started | Loading | Loaded | Attached | Rehearsed | Stepped | Paused | Finished | Failed | SheetWritten | Ended
Listener = Callable[[Event], None]
