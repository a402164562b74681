"""What came of a run, gathered from what it says: the closing lines and `summary.json` tell the same."""

import contextlib
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from batchgen.errors import BatchgenError
from batchgen.events import Ended, Event, Failed, Listener, Started
from batchgen.store.layout import RunDirectory
from batchgen.store.publish import said_plainly, write_atomic


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A picture that there is not."""

    id: str
    name: str
    """What its file would be called, without suffix."""
    reason: str


class Account:
    """A reader of a run's events, in front of another one."""

    def __init__(self, *, started: datetime, name_of: Callable[[str], str], show: Listener) -> None:
        """Begin an account of a run that `started` just now.

        Args:
            started: In UTC.
            name_of: The name of a job's file, by the job's id.
            show: Hears every event too.
        """
        self.failures: list[Failure] = []
        self.sheets: Sequence[Path] = ()
        self._started = started
        self._show = show
        self._name_of = name_of
        self._asked = self._there = 0
        self._ended = Ended(made=0, failed=0, left=0, seconds=0.0)

    def __call__(self, event: Event) -> None:
        """Take `event` into account and pass it on."""
        self._show(event)
        match event:
            case Started(asked=asked, done=done):
                self._asked, self._there = asked, done
            case Failed(id=id_, reason=reason):
                self.failures.append(Failure(id=id_, name=self._name_of(id_), reason=reason))
            case Ended():
                self._ended = event
            case _:
                pass

    def facts(self, directory: RunDirectory, ended: str) -> dict[str, Any]:
        """Return the account as JSON values; `ended` says how the run did."""
        made = self._ended.made
        return {
            "ended": ended,
            "started": self._started.isoformat(timespec="seconds"),
            "seconds": round(self._ended.seconds, 1),
            "asked": self._asked,
            "there_before": self._there,
            "made": made,
            "failed": [asdict(failure) for failure in self.failures],
            "left": self._asked - self._there - made - len(self.failures),
            "pictures": directory.relative(directory.pictures),
            "sheets": [directory.relative(sheet) for sheet in self.sheets],
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
            # What went wrong matters more than that this cannot be written either.
            with contextlib.suppress(BatchgenError):
                self._write(directory, str(error) if isinstance(error, BatchgenError) else repr(error))
            raise
        self._write(directory, "stopped at its time" if self._ended.left else "")

    def _write(self, directory: RunDirectory, ended: str) -> None:
        facts = self.facts(directory, ended)
        facts["ended"] = ended or ("some are missing" if facts["failed"] or facts["left"] else "complete")
        text = json.dumps(facts, indent=2, ensure_ascii=False) + "\n"
        with said_plainly(directory.summary):
            write_atomic(directory.summary, text.encode(), directory.tmp)
