"""The loop of a run. Above it words become a plan, below it a plan becomes pictures."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from batchgen.engine import Runtime
from batchgen.events import Ended, Failed, Finished, Listener, Started
from batchgen.plan.expand import Cell
from batchgen.plan.plan import Plan
from batchgen.run.messages import Made, SetUp
from batchgen.run.patience import PATIENCE, Patience
from batchgen.run.rehearsal import rehearse
from batchgen.run.retries import Queue
from batchgen.run.sealed import Changed, sealed
from batchgen.run.signals import Signals
from batchgen.run.supervisor import Arrived, GivenUp, Supervisor
from batchgen.settings import Output
from batchgen.store.clips import KEEPING, Keeping
from batchgen.store.held import Fresh, Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """How the plan is carried out."""

    runtime: Runtime
    stem: Callable[[Cell], str]
    """File name of a cell's picture, without suffix."""
    compression: int = 4
    """Level of PNG, 0 to 9."""
    clips: Keeping = KEEPING
    """How clips are kept."""
    manifest: Mapping[str, str] | None = None
    """`name` and `sha256` for the records, where there is a manifest."""
    until: float | None = None
    """When to stop, in seconds since 1970: the batch in hand is finished, and nothing new begun."""
    patience: Patience = PATIENCE
    """How long the worker may be silent."""
    may_begin: Callable[[], str | None] | None = None
    """Says why no batch may begin now, or None; asked again and again while one waits."""
    rehearse: bool = False
    """Whether every group takes one step, and is decoded once, before anything is made."""
    joined: frozenset[str] = frozenset()
    """Ids of clips that are joined to longer ones afterwards: their frames are kept until then."""
    changed: Changed = lambda _: None
    """Says why the files of a model are no longer those that were hashed; asked before pictures of it are published."""


def keeping(output: Output) -> Keeping:
    """Return how the settings want clips to be kept."""
    return Keeping(container=output.clips, quality=output.clip_quality, compression=output.compression)


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """What came of a run."""

    made: int = 0
    failed: int = 0
    left: int = 0
    """Neither made nor failed: the run was stopped, by a person or at its time."""
    seconds: float = 0.0
    interrupted: bool = False
    """Somebody asked it to stop, whether or not anything was left."""


class _Tally:
    """Publishes what arrives, tells the listener, and counts."""

    def __init__(self, held: Held, listen: Listener, summary: Summary, needed: Mapping[str, frozenset[str]]) -> None:
        """Count from `summary`; `needed` says what needs the frames of a clip, by its id."""
        self._held = held
        self._needed = {id_: set(jobs) for id_, jobs in needed.items()}
        self.listen = listen
        self.summary = summary

    def publish(self, arrived: Arrived, stems: Mapping[str, str]) -> None:
        published = self._held.publish([_fresh(made, stems[made.id]) for made in arrived.pictures])
        for done in published.done:
            self._count(made=1)
            self._served(done.id)
            self.listen(Finished(id=done.id, picture=done.picture, seconds=done.seconds))
        for job_id, reason in published.refused.items():
            self.give_up(GivenUp(id=job_id, reason=reason, attempts=1))

    def give_up(self, news: GivenUp) -> None:
        self._held.fail(news.id, news.reason, news.attempts)
        self._count(failed=1)
        self.listen(Failed(id=news.id, reason=news.reason))

    def _served(self, job_id: str) -> None:
        """Let go of frames that a job was the last one to need."""
        for clip, jobs in list(self._needed.items()):
            jobs.discard(job_id)
            if not jobs:
                del self._needed[clip]
                self._held.forget_frames(clip)

    def _count(self, *, made: int = 0, failed: int = 0) -> None:
        old = self.summary
        self.summary = replace(old, made=old.made + made, failed=old.failed + failed, left=old.left - made - failed)


def run(plan: Plan, held: Held, work: Work, listen: Listener) -> Summary:
    """Make the pictures of `plan`. If there are none to make, no worker is started and no model touched.

    Args:
        plan: What to make.
        held: The run directory, under lock.
        work: How.
        listen: Hears what happens; `Finished` comes only when a picture survives anything.

    Raises:
        Interrupted: a second signal ended the run at once; all that was finished is kept.
        TryLater: the disk is full.
        StoreError: the run directory cannot be written.
    """
    begun = time.monotonic()
    held.keep_frames_of(plan.built_on.keys() | work.joined)  # a run that was killed may have left others
    needed = {clip: jobs for clip, jobs in plan.built_on.items() if clip not in work.joined}
    tally = _Tally(held, listen, Summary(left=plan.to_make), needed)
    there, rejected = len(plan.done), len(plan.rejected)
    listen(Started(directory=held.directory.root, asked=plan.wanted, done=there, rejected=rejected))
    signals = Signals(work.until)
    try:
        _make(plan, held, work, signals, tally)
    finally:
        summary = replace(tally.summary, seconds=time.monotonic() - begun, interrupted=signals.count > 0)
        listen(_ended(summary))
    return summary


def _ended(summary: Summary) -> Ended:
    return Ended(
        made=summary.made,
        failed=summary.failed,
        left=summary.left,
        seconds=summary.seconds,
        interrupted=summary.interrupted and summary.left > 0,
    )


def _make(plan: Plan, held: Held, work: Work, signals: Signals, tally: _Tally) -> None:
    directory = held.directory
    setup = SetUp(
        runtime=work.runtime,
        tmp=directory.tmp,
        compression=work.compression,
        manifest=work.manifest,
        clips=work.clips,
    )
    supervisor = Supervisor(setup, held.lock, directory.worker_log, signals, patience=work.patience)
    supervisor.may_begin = work.may_begin
    supervisor.picture_of = held.picture_of
    supervisor.with_frames = plan.built_on.keys() | work.joined
    with signals, supervisor as worker:
        most = rehearse(plan, worker, tally.listen) if work.rehearse else {}
        for place, group in enumerate(plan.groups):  # one model
            stems = {cell.job.id: work.stem(cell) for batch in group.batches for cell in batch}
            queue = Queue(group.batches, group.size, most=most.get(place))
            for news in sealed(worker, group.model, queue, work.changed):  # batches: one forward pass each
                if isinstance(news, Arrived):
                    tally.publish(news, stems)
                elif isinstance(news, GivenUp):
                    tally.give_up(news)
                else:
                    tally.listen(news)


def _fresh(made: Made, stem: str) -> Fresh:
    return Fresh(
        id=made.id,
        stem=stem,
        file=made.file,
        record=made.record,
        bytes=made.bytes,
        file_sha256=made.file_sha256,
        pixel_sha256=made.pixel_sha256,
        seconds=made.seconds,
        attempt=made.attempt,
        frames=made.frames,
    )
