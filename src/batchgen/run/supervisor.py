"""Gets the pictures of a group out of a worker, whatever happens to it.

Two batches are in the worker at a time, so that the device never waits for an answer. A worker that dies is replaced,
and one that hangs is ended first.
"""

import time
from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from batchgen.errors import Interrupted, TryLater
from batchgen.events import Attached, Loaded, Loading, Paused, Rehearsed, Stepped
from batchgen.job import UPSCALER, Lora, Model
from batchgen.plan.expand import Cell
from batchgen.recipe import located
from batchgen.run import messages
from batchgen.run.messages import Begun, Made, Open, Opened, Refused, Render, Rendered, Reply, SetUp, Step, Stop
from batchgen.run.patience import NAP, PATIENCE, Patience, Watch
from batchgen.run.process import WORKER, Process
from batchgen.run.retries import MOST_ATTEMPTS, Batch, Queue
from batchgen.run.signals import Signals
from batchgen.store.lock import Lock
from batchgen.store.record import Asked

WINDOW = 2
"""Batches in the worker that are not pixels yet: one in hand and one that waits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GivenUp:
    """A job that gets no picture in this run."""

    id: str
    reason: str
    attempts: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrived:
    """Pictures that lie verified in `tmp/`."""

    pictures: tuple[Made, ...]


News = Loading | Loaded | Attached | Rehearsed | Stepped | Paused | Arrived | GivenUp


@dataclass(slots=True, kw_only=True)
class _InHand:
    """A batch in the worker."""

    batch: Batch
    waiting: set[str] = field(default_factory=set)
    """Ids without an answer."""
    begun: bool = False
    rendered: bool = False


class Supervisor:
    """Keeps a worker alive and busy. No worker is started before the first group."""

    def __init__(
        self,
        setup: SetUp,
        lock: Lock,
        log: Path,
        signals: Signals,
        words: Sequence[str] = WORKER,
        *,
        patience: Patience = PATIENCE,
    ) -> None:
        """Start workers by the command `words`; they work as `setup` says and inherit `lock`."""
        self.may_begin: Callable[[], str | None] | None = None
        """Says why no batch may begin now, or None."""
        self.picture_of: Callable[[str], Path | None] = lambda _: None
        """Says where the picture of a job, or the frames of its clip, are, by id, once it is published."""
        self.with_frames: Container[str] = ()
        """Ids of the clips whose frames are wanted as they were rendered."""
        self._setup = setup
        self._lock = lock
        self._log = log
        self._signals = signals
        self._words = words
        self._grace = patience.grace
        self._watch = Watch(patience)
        self._hung: str | None = None
        self._process: Process | None = None
        self._model: Model | None = None
        self._loaded: dict[bool, Model] = {}
        """What the worker holds: a model that denoises and, under True, an upscaler beside it."""
        self._loras: tuple[Lora, ...] = ()
        self._opened = self._fresh = False
        self._stopping = False
        self._in_hand: dict[int, _InHand] = {}
        self._number = 0
        self._fruitless = 0

    def __enter__(self) -> Self:
        """Nothing yet."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let the worker end; at once if something went wrong here."""
        if self._process is not None:
            self._process.end() if kind is None else self._process.kill()
            self._process = None

    def rendered(self, model: Model, queue: Queue) -> Iterator[News]:
        """Render what is in `queue` with `model` and say what happens; stops early after a signal.

        Raises:
            TryLater: the worker found no room on the disk.
            Interrupted: at the second signal.
        """
        while queue or self._in_hand:
            self._heed()
            if self._stopping and self._process is None:
                return
            yield from self._without_stages(queue)
            if not queue and not self._in_hand:
                return
            yield from self._prepared(model)
            if reason := self._held_back(queue):
                yield Paused(reason=reason)
            else:
                self._fill(queue)
            process = self._started()
            replies = self._heard(process)
            if replies is None:
                yield from self._replaced(process, queue)
            else:
                yield from self._understood(replies, queue)

    def _started(self) -> Process:
        if self._process is None:
            self._process = Process(self._lock.file, self._log, self._words)
            self._lock.name_worker(self._process.pid)
            self._process.send(self._setup)
            self._watch.opens()
        return self._process

    def _heard(self, process: Process) -> list[Reply] | None:
        """Listen to the worker for a moment; end it if it counts as hung. What it had said still arrives then."""
        begun = time.monotonic()
        replies = process.receive(self._signals.wake, NAP)
        if replies or self._hung or self._idle:
            self._watch.lives()
        elif replies is not None:
            self._watch.passed(time.monotonic() - begun)
            self._hung = self._watch.verdict
            if self._hung and not process.stop(self._grace):
                self._process = None
                raise TryLater(f"its worker {process.pid} hangs and cannot be ended", where=str(self._setup.tmp))
        return replies

    def _prepared(self, model: Model) -> Iterator[News]:
        """See to it that there is a worker that has, or is loading, `model`."""
        process = self._started()
        if self._model != model and not self._stopping:
            small = model.family == UPSCALER
            self._fresh = self._loaded.get(small) != model
            if self._fresh:
                yield Loading(model=model.name)
            process.send(Open(model=model))
            self._watch.opens()
            self._model, self._loaded[small], self._opened = model, model, False

    @property
    def _idle(self) -> bool:
        """Whether the worker waits for a batch that may not begin yet: then its silence is no sign of anything."""
        return self._opened and not self._in_hand and not self._stopping

    def _held_back(self, queue: Queue) -> str | None:
        """Return why no batch may begin, although one could."""
        return self.may_begin() if self.may_begin and self._can_take(queue) else None

    def _can_take(self, queue: Queue) -> bool:
        able = bool(queue) and self._opened and not self._stopping and self._has_room(queue)
        return able and not self._missing(queue)

    def _missing(self, queue: Queue) -> frozenset[str]:
        """Return the ids of the pictures that the next batch begins with and that are not there yet."""
        return frozenset(id_ for id_ in queue.stages if self.picture_of(id_) is None)

    def _without_stages(self, queue: Queue) -> Iterator[GivenUp]:
        """Give up what begins with a picture that nobody is making any more, and postpone what can begin later."""
        waiting: frozenset[str] | None = None
        while not self._in_hand and (missing := self._missing(queue)):
            waiting = queue.ids if waiting is None else waiting
            if lost := missing - waiting:
                given_up = queue.without(lost)
                waiting -= {cell.job.id for cell in given_up}
                yield from _given_up(given_up, "the picture that it begins with was not made", 0)
            else:
                queue.postpone()

    def _fill(self, queue: Queue) -> None:
        while self._can_take(queue):
            batch = queue.next()
            self._number += 1
            ids = {cell.job.id for cell in batch.cells}
            self._in_hand[self._number] = _InHand(batch=batch, waiting=ids)
            pictures = {id_: str(self.picture_of(id_) or "") for cell in batch.cells for id_ in _stage_ids(cell)}
            asked = tuple(
                Asked(job=located(cell.job, pictures), name=cell.name, note=cell.note) for cell in batch.cells
            )
            self._started().send(
                Render(
                    number=self._number,
                    asked=asked,
                    attempt=batch.attempt,
                    degradations=batch.degradations,
                    size=batch.size,
                    rehearsal=batch.rehearsal,
                    with_frames=tuple(id_ for id_ in ids if id_ in self.with_frames),
                )
            )

    def _has_room(self, queue: Queue) -> bool:
        if queue.next_is_alone or any(each.batch.alone for each in self._in_hand.values()):
            return not self._in_hand
        return sum(not each.rendered for each in self._in_hand.values()) < WINDOW

    def _heed(self) -> None:
        """Do what signals, or the clock, ask for."""
        if self._signals.count > 1:
            raise Interrupted("stopped at once; what was in hand is made again by the same command")
        self._signals.drain()
        if self._signals.asked_to_stop and not self._stopping:
            self._stopping = True
            if self._process is not None:
                self._process.send(Stop())

    def _understood(self, replies: Sequence[Reply], queue: Queue) -> Iterator[News]:
        made: list[Made] = []
        for reply in replies:
            if isinstance(reply, Made):
                made.append(reply)
                self._answered(reply.number, [reply.id])
            elif isinstance(reply, Refused):
                if made:
                    yield Arrived(pictures=tuple(made))
                    made = []
                yield from self._refused(reply, queue)
            else:
                yield from self._noted(reply)
        if made:
            # Together, because pictures that are published together share their syncs.
            yield Arrived(pictures=tuple(made))

    def _noted(self, reply: Opened | Begun | Step | Rendered | messages.Rehearsed) -> Iterator[News]:
        if isinstance(reply, Opened) and self._model is not None:
            self._opened = True
            self._watch.rests()
            if self._fresh:
                self._loras = () if self._model.family != UPSCALER else self._loras
                yield Loaded(model=self._model.name, seconds=reply.seconds)
        elif isinstance(reply, Begun):
            self._fruitless = 0
            self._in_hand[reply.number].begun = True
            batch = self._in_hand[reply.number].batch
            job = batch.cells[0].job
            kind = (job.batch_key, max(len(batch.cells), batch.size))
            self._watch.begins(kind, job.sampling.steps, again=batch.attempt > 1)
            if job.loras != self._loras and not job.unsampled:
                self._loras = job.loras
                yield Attached(adapters=tuple(lora.file.name for lora in job.loras))
        elif isinstance(reply, Rendered):
            self._in_hand[reply.number].rendered = True
            self._watch.rests()
        elif isinstance(reply, messages.Rehearsed):
            together = max(len(reply.ids), self._in_hand[reply.number].batch.size)
            self._answered(reply.number, reply.ids)
            self._watch.rests()
            yield Rehearsed(model=self._model.name if self._model else "", together=together, seconds=reply.seconds)
        elif isinstance(reply, Step):
            self._watch.steps(reply.step, time.monotonic())
            yield Stepped(step=reply.step)

    def _answered(self, number: int, ids: Iterable[str]) -> None:
        each = self._in_hand[number]
        each.waiting.difference_update(ids)
        if not each.waiting:
            del self._in_hand[number]

    def _refused(self, reply: Refused, queue: Queue) -> Iterator[News]:
        if reply.trouble == "disk_full":
            raise TryLater(f"{reply.reason}; make room and run the same command again", where=str(self._setup.tmp))
        if not reply.ids:
            if self._model is not None:  # which the worker could not open, after it let go of the one before
                self._loaded.pop(self._model.family == UPSCALER, None)
            self._model = None
            yield from _given_up(queue.abandon(), reply.reason, 0)
            return
        self._watch.rests()
        batch = self._in_hand[reply.number].batch
        self._answered(reply.number, reply.ids)
        if reply.trouble == "stage":
            yield from _given_up((cell for cell in batch.cells if cell.job.id in reply.ids), reply.reason, 0)
        elif reply.trouble == "out_of_memory":
            yield from _given_up(queue.halve(batch), reply.reason, MOST_ATTEMPTS)
        else:
            yield from _given_up(queue.retry(batch, reply.ids, alone=False), reply.reason, MOST_ATTEMPTS)

    def _replaced(self, process: Process, queue: Queue) -> Iterator[News]:
        """The worker has ended: put its batches back; the loop starts another."""
        reason = process.last_words(self._hung)
        self._hung = None
        for unfinished in self._setup.tmp.glob(f"{process.pid}-*"):
            unfinished.unlink()
        lost = list(self._in_hand.values())
        self._in_hand.clear()
        self._process, self._model = None, None
        self._loaded, self._loras = {}, ()
        if self._stopping:
            return
        self._fruitless += 1
        # Those that nobody began are innocent. Of those begun, any may be at fault, also one that was being written.
        for each in reversed(lost):
            if not each.begun:
                queue.give_back(each.batch)
        for each in lost:
            if each.begun:
                yield from _given_up(queue.retry(each.batch, tuple(each.waiting), alone=True), reason, MOST_ATTEMPTS)
        if self._fruitless == MOST_ATTEMPTS:
            self._fruitless = 0
            yield from _given_up(queue.abandon(), reason, MOST_ATTEMPTS)


def _stage_ids(cell: Cell) -> tuple[str, ...]:
    return tuple(stage.id for stage in cell.job.stages)


def _given_up(cells: Iterable[Cell], reason: str, attempts: int) -> Iterator[GivenUp]:
    tries = f"tried {attempts} times; " if attempts else ""
    for cell in cells:
        yield GivenUp(id=cell.job.id, reason=f"{tries}{reason}", attempts=attempts)
