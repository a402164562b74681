"""The process that holds the model: `python -m batchgen.run.worker REPLIES`, started by the supervisor.

It reads commands from its standard input and answers on the descriptor REPLIES. Its other streams are free for whatever
libraries print. When its standard input ends without a `Stop`, the supervisor is dead, nobody could publish what is
made here, and the process ends at once; the lock that it has inherited ends with it.
"""

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
from datetime import UTC, datetime
from typing import Any, BinaryIO

import PIL

from batchgen.engine import Engine, Rendered, Runtime, Session
from batchgen.errors import BatchgenError, DeviceLost, EngineError, NotFinite, OutOfMemory
from batchgen.fake import FakeEngine
from batchgen.job import Job
from batchgen.run import messages
from batchgen.run.encoding import Encoders, Finishing
from batchgen.run.messages import Command, Open, Refused, Render, Reply, SetUp, Stop, Trouble
from batchgen.store.publish import write_whole
from batchgen.store.record import Making

ORPHANED = 3
"""Exit status after the supervisor died."""

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
        self._encoders = Encoders(setup.tmp, setup.compression, replies.say)
        self._session: Session | None = None
        self._environment: Mapping[str, Any] = {}

    def open(self, command: Open) -> None:
        """Load a model."""
        begun = time.monotonic()
        try:
            self._close_session()
            with importing():  # torch with the engine, and what the model's family needs when one is opened
                # Here, so that a device that is not there is an answer in one line, and no reason to try again.
                engine = self._engine = self._engine or engine_of(self._runtime)
                self._session = engine.open(command.model)
            self._environment = _environment(engine)
        except Exception as error:  # noqa: BLE001 - whatever it is, the supervisor goes on with the next group
            _log(error)
            self._say(Refused(number=0, ids=(), reason=_sentence(error), trouble="model"))
        else:
            self._say(messages.Opened(seconds=time.monotonic() - begun))

    def render(self, command: Render) -> None:
        """Render a batch and hand its pictures to the threads."""
        self._say(messages.Begun(number=command.number))
        jobs = [asked.job for asked in command.asked]
        together = jobs + jobs[-1:] * (command.size - len(jobs))
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
            self._encoders.take(
                Finishing(
                    number=command.number,
                    index=index,
                    asked=asked,
                    making=making,
                    pixels=picture.pixels,
                    facts=picture.facts,
                )
            )

    def close(self) -> None:
        """Finish the pictures, let go of the model."""
        self._encoders.close()
        self._close_session()

    def _rendered(self, jobs: Sequence[Job]) -> Sequence[Rendered]:
        if self._session is None:
            raise EngineError("no model is open")
        rendered = self._session.render(jobs, lambda step: self._say(messages.Step(step=step)))
        if len(rendered) != len(jobs):
            raise EngineError(f"the engine returned {len(rendered)} pictures for {len(jobs)} jobs")
        wanted = (jobs[0].canvas.height, jobs[0].canvas.width, 3), "uint8"
        for picture in rendered:
            found = picture.pixels.shape, picture.pixels.dtype.name
            if found != wanted:
                raise EngineError(f"the engine returned a picture of {found} instead of {wanted}")
        return rendered

    def _refuse(self, number: int, jobs: Sequence[Job], error: Exception) -> None:
        trouble = _trouble(error)
        ids = tuple(job.id for job in jobs)
        self._say(Refused(number=number, ids=ids, reason=_sentence(error), trouble=trouble))
        if trouble == "device":
            self._encoders.close()
            os._exit(BROKEN)

    def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is not None:
            session.close()


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


def _work(worker: Worker, commands: Commands) -> None:
    while not isinstance(command := commands.next(), Stop):
        if isinstance(command, Open):
            worker.open(command)
        elif isinstance(command, Render):
            worker.render(command)


if __name__ == "__main__":
    main(sys.argv[1:])
