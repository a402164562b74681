"""While a run is under way: its gallery, brought up to date every few minutes, and how far it is, every few seconds.

The gallery is written by a process of its own, `batchgen compare`, with low priority: neither the supervisor nor the
worker waits for thumbnails. What goes wrong there costs the page a few minutes, and the run nothing.
"""

import contextlib
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from batchgen.cli.asking import Asked
from batchgen.events import Event, Failed, Finished, Listener, Started

if TYPE_CHECKING:
    from batchgen.store.layout import RunDirectory

FIRST, BETWEEN = 20.0, 120.0
"""Seconds until the gallery is written for the first time, and at least from the end of one writing to the next."""

_BETWEEN_LIVE = 5.0
_PATIENCE = 30.0
"""Seconds that a writing may take after the run has ended, before it is ended too."""


@contextlib.contextmanager
def following(asked: Asked) -> Iterator[Callable[[Listener], Listener]]:
    """Within it a run's listener also keeps its gallery; give it what else listens. Afterwards nothing is at work."""
    if asked.manifest.compare is None or not asked.settings.output.gallery:
        yield lambda listen: listen
        return
    follower = Follower(asked.directory)
    try:
        yield follower.beside
    finally:
        follower.end()


class Follower:
    """A reader of a run's events that keeps its gallery."""

    def __init__(self, directory: "RunDirectory", *, clock: Callable[[], float] = time.monotonic) -> None:
        """Begin with nothing written."""
        self._directory = directory
        self._clock = clock
        self._writing: subprocess.Popen[bytes] | None = None
        self._due = clock() + FIRST
        self._told = -_BETWEEN_LIVE
        self._asked = self._made = self._failed = self._fresh = 0
        self._spent = 0.0

    def beside(self, listen: Listener) -> Listener:
        """Return a listener that hears what `listen` hears."""

        def both(event: Event) -> None:
            listen(event)
            with contextlib.suppress(OSError):  # no room for a page: the pictures come first, and they will say so
                self._hear(event)

        return both

    def end(self) -> None:
        """End what is at work."""
        if self._writing is not None:
            try:
                self._writing.wait(_PATIENCE)
            except subprocess.TimeoutExpired:
                self._writing.kill()
                self._writing.wait()
            self._writing = None

    def _hear(self, event: Event) -> None:
        match event:
            case Started(asked=asked, done=done):
                self._asked, self._made = asked, done
            case Finished(seconds=seconds):
                self._made += 1
                self._fresh += 1
                self._spent += seconds
            case Failed():
                self._failed += 1
            case _:
                pass
        if self._asked > self._made + self._failed:
            self._write_when_due()
            self._tell_when_due()

    def _write_when_due(self) -> None:
        if self._at_work():
            self._due = self._clock() + BETWEEN
        elif self._fresh and self._clock() >= self._due:
            self._due = self._clock() + BETWEEN
            self._begin()

    def _at_work(self) -> bool:
        return self._writing is not None and self._writing.poll() is None

    def _begin(self) -> None:
        command = [sys.executable, "-m", "batchgen", "compare", str(self._directory.root), "--during-run"]
        nothing = subprocess.DEVNULL
        # A process group of its own: Ctrl-C is meant for the run.
        self._writing = subprocess.Popen(command, stdin=nothing, stdout=nothing, stderr=nothing, process_group=0)

    def _tell_when_due(self) -> None:
        from batchgen.compare.gallery import write_live

        if self._clock() - self._told < _BETWEEN_LIVE or not self._directory.gallery.is_dir():
            return
        self._told = self._clock()
        left = self._asked - self._made - self._failed
        each = self._spent / self._fresh if self._fresh else None
        progress = {
            "asked": self._asked,
            "made": self._made,
            "failed": self._failed,
            "left": left,
            "seconds_left": None if each is None else round(each * left),
            "updated": int(time.time()),
        }
        write_live(self._directory.gallery, progress)
