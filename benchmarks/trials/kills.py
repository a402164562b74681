"""SIGKILL at random moments of real runs, until all pictures are there.

What is killed: the run alone (its worker finds itself alone and must end), its worker alone (the run must go on), or
both. The next run begins at once, so that it may find the former one's worker still alive.
"""

import contextlib
import json
import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from batchgen.store.journal import read
from batchgen.store.layout import RunDirectory
from trials import Meddle, Row, untouched
from trials.command import FAKE, LONGEST, Shell, children, faults
from trials.watching import Watch

_STEPS = 3

_STEADY = 100
"""Milliseconds of a step: a picture takes 0.3 s, as with the quickest models. A kill costs one at most."""

_HASTY = 10
"""Milliseconds of a step for each picture of a batch: no more than writing it takes. Then a kill may cost several."""

_AVERAGE = 30
"""Kills from which on the average is judged where pictures are hasty."""

_SPAN = 1.5
"""A life is at most so many times as long as a run of one picture: moments of start-up count as much as others."""

_FAKE = (FAKE, f"steps={_STEPS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Night:
    """What is to be rendered in one run directory."""

    name: str
    words: tuple[str, ...]
    pictures: int
    batch: int
    step: int = _HASTY
    """Milliseconds of a step for each picture of a batch."""

    @property
    def command(self) -> tuple[str, ...]:
        """The command line, without the run directory."""
        asked = ("run", "--prompt", "a red circle", "--seeds", f"0..{self.pictures - 1}")
        return (*asked, *self.words, f"runtime.batch={self.batch}", "output.sheets=false")


@dataclass(slots=True, kw_only=True)
class _Tally:
    """What has happened so far."""

    killed: Counter[str] = field(default_factory=Counter)
    pictures: int = 0
    twice: int = 0
    most: int = 0
    """Pictures that one kill cost."""
    held: int = 0
    """Starts that found the worker of the run before still alive, and said so."""
    strange: list[str] = field(default_factory=list)
    """Ends that nobody asked for."""
    found: Counter[str] = field(default_factory=Counter)


def one_by_one(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched) -> Row:
    """Kill runs of the fake engine that render one picture at a time, at the pace of a quick model."""
    night = Night(name="kills", words=_FAKE, pictures=max(30, min(150, 4 * count)), batch=1, step=_STEADY)
    return _trial(night, count, folder, seed, meddle)


def hasty(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched) -> Row:
    """Kill runs of the fake engine that render pictures as quickly as they can be written."""
    night = Night(name="kills, in haste", words=_FAKE, pictures=max(120, min(600, 15 * count)), batch=1)
    return _trial(night, count, folder, seed, meddle)


def in_batches(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched) -> Row:
    """Kill runs of the fake engine that render four pictures at a time."""
    night = Night(name="kills, batches of 4", words=_FAKE, pictures=max(240, min(1200, 30 * count)), batch=4)
    return _trial(night, count, folder, seed, meddle)


def clips(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched) -> Row:
    """Kill runs of the fake engine that render clips quicker than they are encoded."""
    words = (*_FAKE, "model=demo_motion")
    night = Night(name="kills, clips", words=words, pictures=max(30, min(150, 4 * count)), batch=1)
    return _trial(night, count, folder, seed, meddle)


def embedded(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched) -> Row:
    """Kill runs of the embedded model that render one picture at a time."""
    words = ("model=demo_shapes", "steps=6", "runtime.threads=1")
    night = Night(name="kills, demo_shapes", words=words, pictures=max(30, min(300, 15 * count)), batch=1)
    return _trial(night, count, folder, seed, meddle)


def _trial(night: Night, count: int, folder: Path, seed: int, meddle: Meddle) -> Row:
    shell = Shell(folder=folder, extra=faults({"do": "sleep", "value": night.step * night.batch}))
    killing = _Killing(night=night, shell=shell, most=count, draw=random.Random(seed), tally=_Tally())
    begun = time.monotonic()
    killing.measure()
    number = 0
    while killing.tally.killed.total() < count and not killing.tally.strange:
        number += 1
        killing.fill(RunDirectory(folder / f"run-{number}"), meddle)
    return _row(night, killing.tally, number, time.monotonic() - begun)


@dataclass(slots=True, kw_only=True)
class _Killing:
    """Fills run directories, with kills."""

    night: Night
    shell: Shell
    most: int
    draw: random.Random
    tally: _Tally
    horizon: float = 0.0
    """Seconds that a run lives at most before it is killed."""

    def measure(self) -> None:
        """Learn how long a run of one picture takes on this machine."""
        begun = time.monotonic()
        said = self.shell.types(*self.night.command, "--limit", "1", "--into", "first")
        if said.code != 1:
            self.tally.strange.append(said.err)
        self.horizon = _SPAN * (time.monotonic() - begun)

    def fill(self, directory: RunDirectory, meddle: Meddle) -> None:
        """Run and kill until every picture is there, then judge; what is well is removed."""
        self.shell.rendered.unlink(missing_ok=True)
        watch, log = Watch(directory), self.shell.folder / "said"
        while (code := self._life(directory, log)) != 0:
            watch.look()
            if code == 75:
                self.tally.held += 1
            elif code is not None:
                self.tally.strange.append(f"exit {code}: {log.read_text()[-500:]}")
                break
        meddle(directory)
        wanted = json.loads(directory.plan.read_bytes())["jobs"] if directory.plan.exists() else []
        found = watch.judged(wanted) | {"unplanned": self.night.pictures - len(wanted)}
        self.tally.found.update(found)
        self._count(directory)
        if not any(found.values()):
            shutil.rmtree(directory.root)

    def _life(self, directory: RunDirectory, log: Path) -> int | None:
        """Let one run live for a while; return its exit status, or None where it was killed."""
        child = self.shell.start(*self.night.command, "--into", str(directory.root), log=log)
        for targets in self._deaths():
            if self.tally.killed.total() >= self.most:
                return child.wait(LONGEST)
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(self.draw.uniform(0, self.horizon))
            if self._kill(child, targets):
                return None
        raise AssertionError("the last death of a run is its own")

    def _deaths(self) -> Iterable[str]:
        """Draw what is killed in this life, one after the other."""
        last = self.draw.choice(["run", "run", "both"])
        return ["worker", last] if self.draw.random() < 0.25 else [last]

    def _kill(self, child: subprocess.Popen[str], target: str) -> bool:
        """Kill; say whether the run itself was killed."""
        workers = children(child.pid)
        if target == "worker":
            victims = workers[:1]
        else:
            victims = [child.pid, *workers] if target == "both" else [child.pid]
            self.draw.shuffle(victims)
        for pid in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.tally.killed[target] += bool(victims)
        if target == "worker":
            return False
        child.wait(LONGEST)
        return True

    def _rendered(self) -> list[str]:
        return self.shell.rendered.read_text().splitlines() if self.shell.rendered.exists() else []

    def _count(self, directory: RunDirectory) -> None:
        """Count pictures that were rendered again, and those whose first rendering one dead worker took along."""
        lines = [line.split() for line in self._rendered()]
        last = {id_: at for at, (id_, _) in enumerate(lines)}
        wasted = Counter(worker for at, (id_, worker) in enumerate(lines) if last[id_] != at)
        done = {entry["id"] for entry in read(directory.journal).entries if entry["event"] == "done"}
        self.tally.pictures += len(done)
        self.tally.twice += wasted.total()
        self.tally.most = max(self.tally.most, *wasted.values(), 0)


def _row(night: Night, tally: _Tally, directories: int, seconds: float) -> Row:
    kills, found = tally.killed.total(), tally.found
    bad = ("lost", "torn", "duplicates", "missing", "unasked", "unplanned")
    counts: dict[str, int | float] = {"pictures": tally.pictures, **{name: found[name] for name in bad}}
    counts |= {"made twice": tally.twice, "made twice per kill": round(tally.twice / kills, 3) if kills else 0}
    counts |= {"most by one kill": tally.most, "strange ends": len(tally.strange)}
    share = ", ".join(f"{tally.killed[name]} {name}" for name in ("run", "worker", "both"))
    note = f"killed: {share}; {directories} directories; {tally.held} starts found the old worker alive"
    ok = not any(found[name] for name in bad) and not tally.strange
    steady, on_average = tally.most <= 1, kills < _AVERAGE or tally.twice <= night.batch * kills
    ok = ok and (steady if night.step == _STEADY else on_average)
    told = "".join(f"; {each}" for each in tally.strange)
    return Row(name=night.name, tried=kills, counts=counts, ok=ok, note=f"{note}; {seconds:.0f} s{told}")
