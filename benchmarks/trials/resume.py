"""SIGKILL at random moments of the denoising of every picture, and a fresh process that goes on from the last bookmark.

Each picture is killed once in its middle: the run with its worker, or the worker alone, after which the run starts
another. What is made then must be equal, bit for bit, to what a run makes that nobody disturbs, and no call of the
network may be made twice but those since the last bookmark.
"""

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any, Final, Self

from batchgen.store.layout import RunDirectory
from trials import Meddle, Row, Trial, untouched
from trials.command import LONGEST, Shell, children

_NAP = 0.001

_LATE = 1
"""Calls that may begin after an interval by this trial's clock and not by the worker's own, which began later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Slow:
    """What is rendered, slowly enough to be killed in its middle."""

    name: str
    samplers: tuple[str, ...]
    words: tuple[str, ...]
    prompt: str = "a red circle"
    every: float = 0.05
    """Seconds between bookmarks."""


PICTURES: Final = Slow(
    name="resume, demo_shapes",
    samplers=("euler_ancestral", "dpmpp_2m", "dpmpp_3m_sde", "uni_pc"),
    words=("model=demo_shapes", "steps=40", "schedule=simple"),
)
"""Samplers with fresh noise, with a memory, with both and a path, and with a corrector."""

CLIPS: Final = Slow(
    name="resume, demo_motion",
    samplers=("cogvideox_ddim", "cogvideox_dpm"),
    words=("model=demo_motion", "steps=20"),
    prompt="a red circle moving right on a blue background",
)
"""A sampler that carries nothing but the clip, and one with fresh noise and a memory."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Line:
    """What a worker wrote down: that a call of the network began, or that a bookmark was kept."""

    worker: int
    job: str
    kept: bool
    number: int
    """Calls that were over by then."""
    time: float


def of(slow: Slow) -> Trial:
    """Return the trial that renders `slow`: of every sampler as many pictures as it has kills."""
    return partial(_trial, slow)


def _trial(slow: Slow, count: int, folder: Path, seed: int, *, meddle: Meddle = untouched) -> Row:
    begun, calm, killed = time.monotonic(), RunDirectory(folder / "calm"), RunDirectory(folder / "killed")
    asked = ("run", "--prompt", slow.prompt, "--seeds", f"0..{count - 1}", f"sampler={','.join(slow.samplers)}")
    command = (*asked, *slow.words, "runtime.batch=1", "runtime.threads=1", "output.sheets=false")
    said = _shell(calm).types(*command, "runtime.checkpoint_every=0", "--into", str(calm.root))
    usual = {job: len(calls) for job, calls in _by_job(_written_down(_log(calm))).items()}
    killing = _Killing(
        command=(*command, f"runtime.checkpoint_every={slow.every}", "--into", str(killed.root)),
        directory=killed,
        usual=usual,
        draw=random.Random(seed),
    )
    strange = killing.fill() if said.code == 0 else said.err
    meddle(killed)
    whole = _shell(killed).types("verify", str(killed.root))
    equal = _equal(calm, killed) if whole.code == 0 else 0
    made = _Made.of(_by_job(_written_down(_log(killed))), slow.every, usual)
    counts = {"pictures": len(usual), "killed in their middle": len(killing.killed), "equal": equal}
    note = f"{', '.join(slow.samplers)}; {time.monotonic() - begun:.0f} s{strange}"
    ok = not strange and len(slow.samplers) * count == len(usual) == len(killing.killed) == equal
    ok = ok and not made.beyond and not made.left_out and not list(killed.interrupted.iterdir())
    return Row(name=slow.name, tried=len(killing.killed), counts=counts | made.counts, ok=ok, note=note)


def _log(directory: RunDirectory) -> Path:
    return directory.root.with_suffix(".calls")


def _shell(directory: RunDirectory) -> Shell:
    return Shell(folder=directory.root.parent, extra={"TRIAL_CALLS": str(_log(directory))})


def _written_down(log: Path) -> list[_Line]:
    lines = log.read_text().splitlines() if log.exists() else []
    return [
        _Line(worker=int(worker), job=job, kept=what == "kept", number=int(number), time=float(at))
        for worker, job, what, number, at in map(str.split, lines)
    ]


def _by_job(lines: Iterable[_Line]) -> dict[str, list[_Line]]:
    found: dict[str, list[_Line]] = defaultdict(list)
    for line in lines:
        found[line.job].append(line)
    return found


def _equal(calm: RunDirectory, killed: RunDirectory) -> int:
    """Count pictures whose hashes in the records, which `verify` has found to be theirs, are equal."""
    one, other = _hashes(calm), _hashes(killed)
    return sum(bool(hashes) and other.get(id_) == hashes for id_, hashes in one.items())


def _hashes(directory: RunDirectory) -> dict[str, Mapping[str, Any]]:
    records = [json.loads(path.read_bytes()) for path in directory.records.glob("*.json")]
    return {
        record["id"]: {name: value for name, value in record["output"].items() if name.endswith("sha256")}
        for record in records
    }


@dataclass(slots=True, kw_only=True)
class _Killing:
    """Fills a run directory, with a kill in the middle of every picture."""

    command: tuple[str, ...]
    directory: RunDirectory
    usual: Mapping[str, int]
    """Calls of the network that each picture takes, by job."""
    draw: random.Random
    killed: set[str] = field(default_factory=set)
    """Jobs that were killed while they were denoised."""

    def fill(self) -> str:
        """Run and kill until every picture is there; return what went wrong."""
        said = self.directory.root.with_suffix(".said")
        shell, code = _shell(self.directory), None
        while code is None:
            code = self._life(shell.start(*self.command, log=said))
        return f"; exit {code}: {said.read_text()[-500:]}" if code else ""

    def _life(self, child: subprocess.Popen[str]) -> int | None:
        """Let one run live until it is killed; return its exit status where it ended by itself."""
        ends, target = time.monotonic() + LONGEST, self.draw.random()
        while child.poll() is None:
            if time.monotonic() > ends:
                child.kill()
            line = next(reversed(_written_down(_log(self.directory))), None)
            if line and line.job not in self.killed and line.number >= target * (self.usual[line.job] - 1):
                time.sleep(self.draw.uniform(0, 3 * _NAP))
                target = self.draw.random()
                if self._kill(child):
                    child.wait(LONGEST)
                    return None
            time.sleep(_NAP)
        return child.returncode

    def _kill(self, child: subprocess.Popen[str]) -> bool:
        """Kill the worker, or the run with it; say whether the run itself was killed."""
        workers, run_too = children(child.pid), self.draw.random() < 2 / 3
        victims = [child.pid, *workers] if run_too else workers[:1]
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        last = _written_down(_log(self.directory))[-1]
        self.killed |= {last.job} if last.number < self.usual[last.job] else set()
        return run_too


@dataclass(slots=True, kw_only=True)
class _Made:
    """What the workers did, over all pictures."""

    calls: int = 0
    again: int = 0
    """Calls that were made before."""
    most: int = 0
    """Of these, by one kill."""
    beyond: int = 0
    """Of these, begun later than a bookmark was due."""
    left_out: int = 0
    """Calls that nobody made."""

    @property
    def counts(self) -> dict[str, int | float]:
        """Return them as columns."""
        again = {"made again": self.again, "most by one kill": self.most, "beyond the interval": self.beyond}
        return {"calls of the network": self.calls, **again, "left out": self.left_out}

    @classmethod
    def of(cls, lines: Mapping[str, Sequence[_Line]], every: float, usual: Mapping[str, int]) -> Self:
        """Look through what was written down."""
        found = cls()
        for job, written in lines.items():
            calls = [line.number for line in written if not line.kept]
            found.calls += len(calls)
            found.left_out += usual[job] - len(set(calls))
            lives = [list(life) for _, life in groupby(written, key=lambda line: line.worker)]
            for life, (first, *_) in pairwise(lives):
                again = [line for line in life if not line.kept and line.number >= first.number]
                kept = [line.time for line in life if line.kept and line.number <= first.number]
                due = max(kept, default=life[0].time) + every
                # A step that had begun may make two.
                beyond = sum(line.time > due for line in again) - 2 - _LATE
                found.again, found.most = found.again + len(again), max(found.most, len(again))
                found.beyond += max(0, beyond)
        return found
