"""Readers of a run's events: a bar on a terminal, plain lines when the output is a file."""

import contextlib
import sys
import time
from collections.abc import Iterable
from typing import Any, TextIO

from tqdm import tqdm

from batchgen.events import Event, Failed, Finished, Listener, Loaded, Loading, Paused, Rehearsed, Started, Stepped

_BAR = "{percentage:3.0f}%|{bar}| {n_fmt}/{total_fmt} {unit}s [{elapsed}, {remaining} left] {desc}"

SECONDS_BETWEEN_LINES = 5.0
"""A log of a night should be readable in the morning."""


def listener(stream: TextIO = sys.stderr, what: str = "picture") -> Listener:
    """Return the reader that fits `stream`. A stream that nobody reads any more does not end a night's run."""
    reader: Listener | None = Bar(stream, what) if stream.isatty() else Lines(stream, what)

    def listen(event: Event) -> None:
        nonlocal reader
        with contextlib.suppress(OSError):
            if reader is not None:
                reader(event)
            return
        reader = None

    return listen


class Bar:
    """A tqdm bar: pictures, the model being loaded, seconds a picture, time left."""

    def __init__(self, stream: TextIO, what: str = "picture") -> None:
        self._stream, self._what = stream, what
        self._bar: tqdm[Any] | None = None
        self._model = ""

    def __call__(self, event: Event) -> None:
        """Show what `event` changes."""
        match event:
            case Started(asked=asked, done=done) if asked > done:
                stream, unit = self._stream, self._what
                self._bar = tqdm(total=asked, initial=done, file=stream, unit=unit, bar_format=_BAR, dynamic_ncols=True)
            case Loading(model=model):
                self._say(f"loading {model}")
            case Loaded(model=model):
                self._model = model
                self._say(model)
            case Finished(seconds=seconds):
                self._update()
                self._say(f"{self._model} {seconds:.2f} s/{self._what}")
            case Failed(id=id_, reason=reason):
                tqdm.write(f"failed: {id_[:12]}: {reason}", file=self._stream)
            case Stepped(step=step):
                if step == 1:  # no longer waiting
                    self._say(self._model)
                self._refresh()
            case Paused(reason=reason):
                self._say(_waiting(reason))
            case Rehearsed():
                tqdm.write(_rehearsed(event), file=self._stream)
            case _:
                self.close()

    def close(self) -> None:
        """Leave the bar as it stands, on a line of its own."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _say(self, words: str) -> None:
        if self._bar is not None:
            self._bar.set_description_str(words)

    def _update(self) -> None:
        if self._bar is not None:
            self._bar.update()

    def _refresh(self) -> None:
        if self._bar is not None:
            self._bar.update(0)


class Lines:
    """A line when something begins, fails or ends, and now and then how far it is."""

    def __init__(self, stream: TextIO, what: str = "picture") -> None:
        self._stream, self._what = stream, what
        self._asked = self._done = self._fresh = 0
        self._spent = 0.0
        self._waiting = False
        self._said = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Write what is worth a line."""
        match event:
            case Started(asked=asked, done=done):
                self._asked, self._done = asked, done
            case Loading(model=model):
                self._write(f"loading {model}")
            case Loaded(model=model, seconds=seconds):
                self._write(f"loaded {model} in {seconds:.1f} s")
            case Paused(reason=reason):
                self._say_once(_waiting(reason))
            case Rehearsed():
                self._write(_rehearsed(event))
            case Finished(seconds=seconds):
                self._waiting = False
                self._done += 1
                self._fresh += 1
                self._spent += seconds
                self._say_how_far()
            case Failed(id=id_, reason=reason):
                self._write(f"failed: {id_[:12]}: {reason}")
            case _:
                pass

    def _say_how_far(self) -> None:
        now = time.monotonic()
        if now - self._said < SECONDS_BETWEEN_LINES and self._done < self._asked:
            return
        self._said = now
        each = self._spent / self._fresh
        left = each * (self._asked - self._done)
        self._write(f"{self._done}/{self._asked} {self._what}s, {each:.2f} s each, {duration(left)} left")

    def _say_once(self, words: str) -> None:
        if not self._waiting:
            self._waiting = True
            self._write(words)

    def _write(self, line: str) -> None:
        print(line, file=self._stream, flush=True)


def _waiting(reason: str) -> str:
    return f"waiting: {reason}"


def _rehearsed(event: Rehearsed) -> str:
    return f"rehearsed {event.model}: {count(event.together, 'picture')} at once, {event.seconds:.1f} s"


def count(number: int, one: str, many: str | None = None) -> str:
    """A number of things.

    >>> count(1, "picture"), count(1200, "picture"), count(2, "batch", "batches")
    ('1 picture', '1,200 pictures', '2 batches')
    """
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def noun(clips: Iterable[bool]) -> str:
    """Return what several are called, of which it is known whether each is a clip.

    >>> noun([True, True]), noun([True, False]), noun([])
    ('clip', 'picture', 'picture')
    """
    found = set(clips)
    return "clip" if found == {True} else "picture"


def duration(seconds: float) -> str:
    """Seconds as a person says them.

    >>> [duration(x) for x in (0.4, 75, 3700, 200_000)]
    ['0 s', '1 min 15 s', '1 h 1 min', '2 d 7 h']
    """
    whole = round(seconds)
    for unit, size, smaller, part in (("d", 86400, "h", 3600), ("h", 3600, "min", 60), ("min", 60, "s", 1)):
        if whole >= size:
            return f"{whole // size} {unit} {whole % size // part} {smaller}"
    return f"{whole} s"
