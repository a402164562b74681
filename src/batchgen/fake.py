"""An engine without a model, for tests and rehearsals: quick, deterministic, and able to fail on request.

Its pictures carry the id of their job in their pixels, so that a picture given to the wrong job is seen; flat colours
would hide it. What goes wrong is asked for in `BATCHGEN_FAKE_FAULTS`, because the engine works in another process:

    {"state": "/tmp/some-folder", "faults": [{"do": "signal", "seed": 3, "value": 11, "times": 1}, ...]}

`do` is one of `Fault.do`; `seed` names the job (left out: every job); `times` is how often it happens at all, counted
in the folder `state` across processes (left out: always).
"""

import ctypes
import json
import os
import signal
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from batchgen.engine import FORGETFUL, NO_BOOKMARKS, Bookmarks, Latents, OnStep, Pixels, Rendered, opened_frame
from batchgen.errors import DeviceLost, EngineError, ModelError, NotFinite, OutOfMemory
from batchgen.job import Job, Model, Stage

FAULTS = "BATCHGEN_FAKE_FAULTS"
"""The environment variable with the faults."""

_HANGS = ("hang", "hang_deaf", "hang_native")
_ID_BYTES = 32
_TILE = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """Something that goes wrong."""

    do: Literal[
        "signal", "exit", "sleep", "out_of_memory", "error", "not_finite", "device", "crash", "open",
        "wrong_size", "too_few", "single_colour", "no_frames", "no_json", "hang", "hang_deaf", "hang_native",
    ]  # fmt: skip
    """Die by the signal `value`; exit with the status `value`; sleep `value` milliseconds at every step; run out of
    memory with more than `value` pictures in a batch; raise what an engine raises, or (`crash`) what it should not;
    fail to open a model; return pictures of a wrong size, too few of them, of one colour, clips without frames, or
    facts that are no JSON; do nothing any more after `value` steps, and (`hang_deaf`) do not end on request either, or
    (`hang_native`) as code does that keeps Python's lock."""
    seed: int | None = None
    value: int = 0
    times: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Faults:
    """What goes wrong, and where it is counted."""

    faults: tuple[Fault, ...] = ()
    state: Path | None = None

    def now(self, *kinds: str, jobs: Sequence[Job] = ()) -> Fault | None:
        """Return the first fault of `kinds` that is due with these jobs, and count it."""
        seeds = {job.seed for job in jobs}
        for number, fault in enumerate(self.faults):
            if fault.do in kinds and (fault.seed is None or fault.seed in seeds) and self._due(number, fault):
                return fault
        return None

    def _due(self, number: int, fault: Fault) -> bool:
        if not fault.times or self.state is None:
            return True
        with (self.state / f"fault-{number}").open("ab") as count:
            if count.tell() >= fault.times:
                return False
            count.write(b".")
        return True


def faults_asked_for() -> Faults:
    """Read `BATCHGEN_FAKE_FAULTS`."""
    asked = json.loads(os.environ.get(FAULTS, "{}"))
    state = asked.get("state")
    return Faults(
        faults=tuple(Fault(**fault) for fault in asked.get("faults", ())), state=None if state is None else Path(state)
    )


def read_id(pixels: Pixels) -> str:
    """Return the id of the job that `pixels` were made for: 64 hex digits.

    Raises:
        ValueError: the id at the end is another than at the beginning.
    """
    flat = pixels.reshape(-1)
    first, last = flat[:_ID_BYTES].tobytes().hex(), flat[-_ID_BYTES:].tobytes().hex()
    if first != last:
        message = f"the picture begins as {first} and ends as {last}"
        raise ValueError(message)
    return first


def picture_of(job: Job) -> Pixels:
    """Return the picture of `job`: a pattern of 8x8 pixels drawn from its id, over and over, the id at both ends.

    A clip is a disc that moves over two colours drawn from its id, frame by frame; the id is at its very ends. Where it
    begins with a frame of another one that lies somewhere, that is its first.
    """
    pixels = _moving(job) if job.clip else _tiled(job)
    begin = _begin(job)
    if begin is not None and begin.shape == pixels.shape[1:]:
        pixels[0] = begin
    flat = pixels.reshape(-1)
    flat[:_ID_BYTES] = flat[-_ID_BYTES:] = np.frombuffer(bytes.fromhex(job.id), dtype=np.uint8)
    return pixels


def _begin(job: Job) -> Pixels | None:
    source = job.init_image
    if not job.clip or not isinstance(source, Stage) or source.frame is None or not source.path:
        return None
    with opened_frame(source.path, source.frame) as file, Image.open(file) as picture:
        return np.asarray(picture)


def _moving(job: Job) -> Pixels:
    width, height, frames = job.canvas.width, job.canvas.height, job.motion.frames
    colours = np.random.default_rng(int(job.id, 16)).permutation([30, 90, 150, 210, 120, 240, 60, 180, 0])
    disc, left, right = colours.astype(np.uint8).reshape(3, 3)
    rows, columns = np.mgrid[:height, :width]
    ground = np.where((columns < width / 2)[..., None], left, right)
    radius = max(1.5, min(width, height) / 5)
    middles = np.linspace(radius, width - radius, frames)
    inside = [(rows - height / 2) ** 2 + (columns - middle) ** 2 <= radius**2 for middle in middles]
    return np.stack([np.where(each[..., None], disc, ground) for each in inside])


def _tiled(job: Job) -> Pixels:
    tile = np.random.default_rng(int(job.id, 16)).integers(0, 256, (_TILE, _TILE, 3), dtype=np.uint8)
    rows, columns = -(-job.canvas.height // _TILE), -(-job.canvas.width // _TILE)
    return np.ascontiguousarray(np.tile(tile, (rows, columns, 1))[: job.canvas.height, : job.canvas.width])


class FakeSession:
    """A loaded model that is none."""

    def __init__(self, model: Model, faults: Faults, closed: list[str]) -> None:
        """Be `model`; add its name to `closed` in the end."""
        self._model = model
        self._faults = faults
        self._closed = closed

    def render(
        self,
        jobs: Sequence[Job],
        on_step: OnStep,
        latents: Latents = FORGETFUL,
        bookmarks: Bookmarks = NO_BOOKMARKS,
    ) -> Sequence[Rendered]:
        """Return one picture a job, from nothing that was kept; raises what the faults ask for."""
        del latents, bookmarks
        self._end(jobs)
        self._raise(jobs)
        nap = self._faults.now("sleep", jobs=jobs)
        for step in range(jobs[0].sampling.steps):
            time.sleep(nap.value / 1000 if nap else 0)
            self._hang(jobs, step)
            on_step(step + 1)
        self._hang(jobs, jobs[0].sampling.steps)
        kept = jobs[1:] if self._faults.now("too_few", jobs=jobs) else jobs
        return [self._rendered(job) for job in kept]

    def rehearse(self, jobs: Sequence[Job], on_step: OnStep) -> None:
        """Take one step; raises what the faults ask for."""
        self._end(jobs)
        self._raise(jobs)
        on_step(1)

    def close(self) -> None:
        """Count it."""
        self._closed.append(self._model.name)

    def _rendered(self, job: Job) -> Rendered:
        pixels = picture_of(job)
        if self._faults.now("wrong_size", jobs=[job]):
            pixels = pixels[1:]
        if self._faults.now("no_frames", jobs=[job]):
            pixels = pixels[:0]
        if self._faults.now("single_colour", jobs=[job]):
            pixels = np.full_like(pixels, 7)
        mean = float("nan") if self._faults.now("no_json", jobs=[job]) else 0.0
        facts = {"steps_taken": job.sampling.steps, "denoiser_evaluations": job.sampling.steps, "fake_mean": mean}
        return Rendered(pixels=pixels, facts=facts)

    def _hang(self, jobs: Sequence[Job], steps: int) -> None:
        if not any(each.do in _HANGS and each.value == steps for each in self._faults.faults):
            return
        fault = self._faults.now(*_HANGS, jobs=jobs)
        if fault is None:
            return
        if fault.do == "hang_deaf":
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if fault.do == "hang_native":
            ctypes.PyDLL(None).pause()
        while True:
            time.sleep(3600)

    def _end(self, jobs: Sequence[Job]) -> None:
        fault = self._faults.now("signal", "exit", jobs=jobs)
        if fault is None:
            return
        if fault.do == "exit":
            os._exit(fault.value)
        # As a fault of the hardware would: nobody's handler runs first.
        signal.signal(fault.value, signal.SIG_DFL) if fault.value not in (signal.SIGKILL, signal.SIGSTOP) else None
        os.kill(os.getpid(), fault.value)

    def _raise(self, jobs: Sequence[Job]) -> None:
        for each in self._faults.faults:
            if each.do == "out_of_memory" and len(jobs) > each.value and self._faults.now(each.do, jobs=jobs):
                raise OutOfMemory(f"no memory for {len(jobs)} pictures at once")
        fault = self._faults.now("error", "not_finite", "device", "crash", jobs=jobs)
        if fault is None:
            return
        if fault.do == "crash":
            message = "nobody expected this"
            raise RuntimeError(message)
        kind = {"error": EngineError, "not_finite": NotFinite, "device": DeviceLost}[fault.do]
        raise kind(f"asked to fail: {fault.do}")


class FakeEngine:
    """An engine whose models load at once."""

    def __init__(self, faults: Faults | None = None) -> None:
        """Fail as `faults` say, or as the environment does."""
        self._faults = faults_asked_for() if faults is None else faults
        self.opened: list[str] = []
        """Names of the models, in the order of opening."""
        self.closed: list[str] = []
        """Names of the models, in the order of closing."""

    def open(self, model: Model) -> FakeSession:
        """Open `model`, whatever it is."""
        if self._faults.now("open"):
            raise ModelError("asked not to open", where=model.name)
        self.opened.append(model.name)
        return FakeSession(model, self._faults, self.closed)

    def environment(self) -> Mapping[str, Any]:
        """Only what its pixels depend on."""
        return {"engine": "fake", "numpy": np.__version__}
