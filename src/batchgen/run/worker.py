"""The process that holds the model: `python -m batchgen.run.worker REPLIES`, started by the supervisor.

It reads commands from its standard input and answers on the descriptor REPLIES. Its other streams are free for whatever
libraries print. When its standard input ends without a `Stop`, the supervisor is dead, nobody could publish what is
made here, and the process ends at once; the lock that it has inherited ends with it.
"""

import contextlib
import ctypes
import gc
import io
import os
import platform
import queue
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import PIL

from batchgen.engine import (
    FORGETFUL,
    NO_BOOKMARKS,
    Bookmarks,
    Engine,
    Latents,
    Rendered,
    Runtime,
    Session,
    Together,
)
from batchgen.errors import BatchgenError, DeviceLost, EngineError, NotFinite, OutOfMemory, StoreError
from batchgen.fake import FakeEngine
from batchgen.job import UPSCALER, Job, Model, Stage
from batchgen.run import messages
from batchgen.run.encoding import Encoders, Finishing
from batchgen.run.messages import Command, Open, Refused, Render, Reply, SetUp, Stop, Trouble
from batchgen.store.interrupted import KeptBookmarks
from batchgen.store.latents import KeptLatents
from batchgen.store.layout import RunDirectory
from batchgen.store.media import record_in, validate
from batchgen.store.publish import write_whole
from batchgen.store.record import Making, environment_id

ORPHANED = 3
"""Exit status after the supervisor died."""

_PR_SET_PDEATHSIG = 1
"""Linux's number for it, from prctl(2)."""

BROKEN = 4
"""Exit status after the device was lost: only a new process can use it again."""


class Replies:
    """The way back to the supervisor, for any thread."""

    def __init__(self, file: int) -> None:
        """Answer on the descriptor `file`."""
        self._file = file
        self._one_at_a_time = threading.Lock()

    def say(self, reply: Reply) -> None:
        """Send `reply`."""
        with self._one_at_a_time:
            write_whole(self._file, messages.encode(reply))


class Commands:
    """What the supervisor wants, read by a thread so that a `Stop` is heard during a batch."""

    def __init__(self, stream: BinaryIO) -> None:
        """Begin to read."""
        self._stream = stream
        self._queue: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._stopping = False
        threading.Thread(target=self._read, name="commands", daemon=True).start()

    def next(self) -> Command:
        """Wait for the next command; after a `Stop` there is no other."""
        command = self._queue.get()
        return Stop() if self._stopping else command

    def _read(self) -> None:
        for line in self._stream:
            command = messages.decode(line)
            self._stopping = isinstance(command, Stop)
            self._queue.put(command)  # type: ignore[arg-type]  # only commands come this way
            if self._stopping:
                return
        os._exit(ORPHANED)


class Worker:
    """A loaded model, and the threads that keep its pictures."""

    def __init__(self, setup: SetUp, replies: Replies) -> None:
        """Work as `setup` says."""
        self._runtime = setup.runtime
        self._engine: Engine | None = None
        self._manifest = setup.manifest
        self._say = replies.say
        self._encoders = Encoders(setup.tmp, setup.compression, replies.say, setup.clips)
        self._sessions: dict[bool, tuple[Model, Session]] = {}
        """What is loaded: a model that denoises and, under True, an upscaler beside it, which is small."""
        self._session: Session | None = None
        self._environment: Mapping[str, Any] = {}
        self._directory = RunDirectory.around(setup.tmp)
        self._latents: Latents = FORGETFUL
        self._bookmarks: Bookmarks = NO_BOOKMARKS

    def open(self, command: Open) -> None:
        """Load a model."""
        begun = time.monotonic()
        try:
            with importing():  # torch with the engine, and what the model's family needs when one is opened
                # Here, so that a device that is not there is an answer in one line, and no reason to try again.
                engine = self._engine = self._engine or engine_of(self._runtime)
                self._session = self._loaded(command.model, engine)
            self._environment = _environment(engine)
            environment = environment_id(self._environment)
            self._latents = KeptLatents(self._directory, environment)
            self._bookmarks = KeptBookmarks(self._directory, f"{environment} {self._runtime.memory}")
        except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor goes on with the next group
            _log(error)
            self._say(Refused(number=0, ids=(), reason=_sentence(error), trouble="model"))
        else:
            self._say(messages.Opened(seconds=time.monotonic() - begun))

    def _loaded(self, model: Model, engine: Engine) -> Session:
        """Return a session of `model`: the one that is open, or a new one after the old of its kind was closed."""
        small = model.family == UPSCALER
        before, session = self._sessions.get(small, (None, None))
        if session is None or before != model:
            self._close(small)
            session = engine.open(model)
            self._sessions[small] = (model, session)
        return session

    def render(self, command: Render) -> None:
        """Render a batch and hand its pictures to the threads."""
        self._say(messages.Begun(number=command.number))
        jobs = [asked.job for asked in command.asked]
        together = jobs + jobs[-1:] * (command.size - len(jobs))
        if command.rehearsal:
            self._rehearse(command.number, together)
            return
        if self._lack_their_beginning(command.number, jobs):
            return
        started, begun = datetime.now(UTC), time.monotonic()
        try:
            rendered = self._rendered(together)[: len(jobs)]
        except Exception as error:  # noqa: BLE001 - one bad batch must not end the night
            _log(error)
            self._refuse(command.number, jobs, error)
            return
        seconds = (time.monotonic() - begun) / len(jobs)
        self._say(messages.Rendered(number=command.number))
        making = Making(
            batch=tuple(job.id for job in together),
            attempt=command.attempt,
            degradations=command.degradations,
            environment=self._environment,
            manifest=self._manifest,
            started=started.isoformat(timespec="milliseconds"),
            seconds=seconds,
        )
        for index, (asked, picture) in enumerate(zip(command.asked, rendered, strict=True)):
            denoised = picture.together or Together(ids=making.batch, index=index)
            before = float(picture.facts.get("seconds_before", 0.0)) / len(jobs)
            self._encoders.take(
                Finishing(
                    number=command.number,
                    index=denoised.index,
                    asked=asked,
                    making=replace(making, batch=denoised.ids, seconds=seconds + before),
                    pixels=picture.pixels,
                    facts={**picture.facts, **_said_of_stages(asked.job)},
                    with_frames=asked.job.id in command.with_frames,
                )
            )

    def _lack_their_beginning(self, number: int, jobs: Sequence[Job]) -> bool:
        """Look at the frames with which `jobs` begin. Where some are damaged, refuse those jobs, and give back others.

        Damaged frames that were kept for this are removed: the next run makes them again.
        """
        reasons = {job.id: reason for job in jobs if (reason := _damage(job))}
        for job in jobs:
            for stage in job.stages if job.id in reasons else ():
                self._directory.frames_of(stage.id).unlink(missing_ok=True)
            if job.id in reasons:
                self._say(Refused(number=number, ids=(job.id,), reason=reasons[job.id], trouble="stage"))
        if rest := tuple(job.id for job in jobs if reasons and job.id not in reasons):
            reason = "was to be rendered together with what could not begin"
            self._say(Refused(number=number, ids=rest, reason=reason, trouble="engine"))
        return bool(reasons)

    def close(self) -> None:
        """Finish the pictures, let go of the model."""
        self._encoders.close()
        for small in tuple(self._sessions):
            self._close(small)

    def _rendered(self, jobs: Sequence[Job]) -> Sequence[Rendered]:
        rendered = self._opened().render(jobs, self._stepped, self._latents, self._bookmarks)
        if len(rendered) != len(jobs):
            raise EngineError(f"the engine returned {len(rendered)} pictures for {len(jobs)} jobs")
        frames = (jobs[0].motion.frames,) if jobs[0].clip else ()
        wanted = (*frames, jobs[0].canvas.height, jobs[0].canvas.width, 3), "uint8"
        for picture in rendered if jobs[0].start.mask_padding is None else ():  # else it is as large as its source
            found = picture.pixels.shape, picture.pixels.dtype.name
            if found != wanted:
                what = "clip" if jobs[0].clip else "picture"
                raise EngineError(f"the engine returned a {what} of {found} instead of {wanted}")
        return rendered

    def _stepped(self, step: int) -> None:
        self._say(messages.Step(step=step))

    def _opened(self) -> Session:
        if self._session is None:
            raise EngineError("no model is open")
        return self._session

    def _rehearse(self, number: int, together: Sequence[Job]) -> None:
        begun = time.monotonic()
        try:
            self._opened().rehearse(together, self._stepped)
        except Exception as error:  # noqa: BLE001 - as in `render`: the supervisor decides what becomes of it
            _log(error)
            self._refuse(number, together, error)
        else:
            ids = tuple({job.id: None for job in together})
            self._say(messages.Rehearsed(number=number, ids=ids, seconds=time.monotonic() - begun))

    def _refuse(self, number: int, jobs: Sequence[Job], error: Exception) -> None:
        trouble = _trouble(error)
        ids = tuple(job.id for job in jobs)
        if trouble in ("engine", "not_finite"):  # where it went on from may be what is wrong
            self._bookmarks.forget(jobs)
        self._say(Refused(number=number, ids=ids, reason=_sentence(error), trouble=trouble))
        if trouble == "device":
            self._encoders.close()
            os._exit(BROKEN)

    def _close(self, small: bool) -> None:
        if small in self._sessions:
            self._session = None
            self._sessions.pop(small)[1].close()


def _damage(job: Job) -> str | None:
    """Say what is wrong with the frames of a clip with which `job` begins; None: nothing, or it begins otherwise."""
    for source in (job.init_image, job.mask_image):
        if not isinstance(source, Stage) or not source.job.clip:
            continue
        try:
            if validate(Path(source.path))[0]["id"] == source.job.id:
                continue
            reason = "they are of another clip"
        except (StoreError, OSError) as error:
            reason = str(error)
        return f"the frames of the clip that it begins with are damaged; another run makes them again: {reason}"
    return None


def _said_of_stages(job: Job) -> Mapping[str, Any]:
    """Return in batches of which sizes the pictures were made on which `job` builds: their bits depend on it."""
    sizes: dict[str, int] = {}
    for source in (job.init_image, job.mask_image):
        if isinstance(source, Stage):
            execution = record_in(Path(source.path)).get("execution", {})
            sizes |= {**execution.get("stage_batch_sizes", {}), source.job.id: execution.get("batch_size", 1)}
    return {"stage_batch_sizes": sizes} if sizes else {}


def _environment(engine: Engine) -> Mapping[str, Any]:
    system = os.uname()
    ours = {"python": platform.python_version(), "pillow": PIL.__version__}
    return ours | {"system": system.sysname, "machine": system.machine} | dict(engine.environment())


def _trouble(error: Exception) -> Trouble:
    names = {kind.__name__ for kind in type(error).__mro__}
    # By name: torch's classes are not here when the fake engine works.
    if isinstance(error, OutOfMemory | MemoryError) or "OutOfMemoryError" in names:
        return "out_of_memory"
    if isinstance(error, NotFinite):
        return "not_finite"
    if isinstance(error, DeviceLost) or "AcceleratorError" in names or "CUDA error" in str(error):
        return "device"
    return "engine"


def _sentence(error: Exception) -> str:
    """One line; an error that is nobody's fault but the program's is called by its class, too."""
    text = " ".join(str(error).split())[:500]
    return text if isinstance(error, BatchgenError) else f"{type(error).__name__}: {text}"


def _log(error: Exception) -> None:
    sys.stderr.write("".join(traceback.format_exception(error)))
    sys.stderr.flush()


def engine_of(runtime: Runtime) -> Engine:
    """Return the engine that `runtime` names."""
    if runtime.engine == "fake":
        return FakeEngine()
    from batchgen.diffusion.engine import DiffusionEngine  # noqa: PLC0415 - torch loads only where a model is needed

    return DiffusionEngine(runtime)


@contextmanager
def importing() -> Iterator[None]:
    """Let libraries come in undisturbed: looking for garbage among their million objects takes a sixth of the time.

    Nothing is frozen afterwards: a model that is part of a cycle must be found when it is let go.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def main(arguments: Sequence[str]) -> None:
    """Work until told to stop."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the supervisor too, and it decides.
    _end_with_the_supervisor()
    file = int(arguments[0])
    os.set_inheritable(file, False)
    replies = Replies(file)
    commands = Commands(io.BufferedReader(io.FileIO(sys.stdin.fileno(), closefd=False)))
    setup = commands.next()
    if isinstance(setup, SetUp):
        worker = Worker(setup, replies)
        _work(worker, commands)
        worker.close()
    sys.stderr.flush()
    # Everything is written. Taking the interpreter and torch apart in order would only hold up the next run's lock.
    os._exit(0)


def _end_with_the_supervisor() -> None:
    """Ask Linux for a SIGTERM when the supervisor dies: the thread that would notice may wait for a long operation."""
    with contextlib.suppress(OSError, AttributeError):  # elsewhere there is no such call, and that thread is all
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _work(worker: Worker, commands: Commands) -> None:
    while not isinstance(command := commands.next(), Stop):
        if isinstance(command, Open):
            worker.open(command)
        elif isinstance(command, Render):
            worker.render(command)


if __name__ == "__main__":
    main(sys.argv[1:])
