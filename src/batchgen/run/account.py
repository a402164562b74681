"""What came of a run, gathered from what it says: the closing lines and `summary.json` tell the same."""

import contextlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from batchgen.errors import BatchgenError, Interrupted
from batchgen.events import Ended, Event, Failed, Listener, Started
from batchgen.store.layout import RunDirectory
from batchgen.store.publish import said_plainly, write_atomic

COMPLETE, MISSING = "complete", "some are missing"
STOPPED, INTERRUPTED = "stopped at its time", "interrupted"
"""How a run may end, if no error ends it."""

ENDS = frozenset({COMPLETE, MISSING, STOPPED, INTERRUPTED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A picture that there is not."""

    id: str
    name: str
    """What its file would be called, without suffix."""
    reason: str


class Account:
    """A reader of a run's events, in front of another one."""

    def __init__(self, *, started: datetime, name_of: Callable[[str], str], show: Listener, later: int = 0) -> None:
        """Begin an account of a run that `started` just now.

        Args:
            started: In UTC.
            name_of: The name of a job's file, by the job's id.
            show: Hears every event too.
            later: Pictures that are asked for beyond those of this run.
        """
        self.failures: list[Failure] = []
        self.sheets: Sequence[Path] = ()
        self.gallery: Path | None = None
        self.findings: Sequence[str] = ()
        self.joined: Mapping[str, Path] = {}
        self._started = started
        self._show = show
        self._name_of = name_of
        self._later = later
        self._asked = self._there = self._rejected = 0
        self._ended = Ended(made=0, failed=0, left=0, seconds=0.0)
        self._how = ""

    def __call__(self, event: Event) -> None:
        """Take `event` into account and pass it on."""
        self._show(event)
        match event:
            case Started(asked=asked, done=done, rejected=rejected):
                self._asked, self._there, self._rejected = asked + self._later + rejected, done, rejected
            case Failed(id=id_, reason=reason):
                self.failures.append(Failure(id=id_, name=self._name_of(id_), reason=reason))
            case Ended():
                self._ended = event
            case _:
                pass

    def facts(self, directory: RunDirectory) -> dict[str, Any]:
        """Return the account as JSON values."""
        made = self._ended.made
        return {
            "ended": self._how,
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": round(self._ended.seconds, 1),
            "asked": self._asked,
            "there_before": self._there,
            "made": made,
            "failed": [asdict(failure) for failure in self.failures],
            "left": self._asked - self._there - self._rejected - made - len(self.failures),
            **({"rejected": self._rejected} if self._rejected else {}),
            "pictures": directory.relative(directory.pictures),
            "sheets": [directory.relative(sheet) for sheet in self.sheets],
            "gallery": None if self.gallery is None else directory.relative(self.gallery),
            "findings": list(self.findings),
            "joined": [directory.relative(clip) for clip in self.joined.values()],
        }

    @contextlib.contextmanager
    def kept(self, directory: RunDirectory) -> Iterator[None]:
        """Write `summary.json` when what is inside ends, however it ends; the directory's lock is held.

        Raises:
            TryLater: no room for it.
            StoreError: it cannot be written.
        """
        try:
            yield
        except BaseException as error:
            self._how = _said_of(error)
            # What went wrong matters more than that this cannot be written either.
            with contextlib.suppress(BatchgenError):
                self._write(directory)
            raise
        self._how = self._how_it_ended()
        self._write(directory)

    def _how_it_ended(self) -> str:
        ended = self._ended
        if ended.left:
            return INTERRUPTED if ended.interrupted else STOPPED
        return COMPLETE if self._asked == self._there + self._rejected + ended.made else MISSING

    def _write(self, directory: RunDirectory) -> None:
        text = json.dumps(self.facts(directory), indent=2, ensure_ascii=False) + "\n"
        with said_plainly(directory.summary):
            write_atomic(directory.summary, text.encode(), directory.tmp)


def _said_of(error: BaseException) -> str:
    if isinstance(error, Interrupted | KeyboardInterrupt):
        return INTERRUPTED
    return str(error) if isinstance(error, BatchgenError) else repr(error)
