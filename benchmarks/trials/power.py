"""Power cuts at random moments: an ext4 of its own is shut down under a run that tells of every finished picture.

What was told before the cut must be there when the power is back. The file system's log is replayed as after a real
cut; that a disk forgets what it said it had written is not modelled.
"""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from batchgen.store.held import hold
from batchgen.store.layout import RunDirectory
from trials import Meddle, Row, untouched
from trials.command import Shell, children, faults
from trials.volumes import Ext4, refusal
from trials.watching import pictures, whole

TELLER = (sys.executable, "-m", "trials.jobs")

_PICTURES = 400
"""In one run directory."""

_SPAN = 2.0
"""The power is cut within so many times the time to the first picture."""


def cuts(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched, teller: Sequence[str] = TELLER) -> Row:
    """Cut the power `count` times; `teller` is the program that renders and tells."""
    if reason := refusal("ext4", folder):
        return Row(name="power cuts", tried=0, ok=True, note=f"skipped: {reason}")
    begun, draw = time.monotonic(), random.Random(seed)
    shell = Shell(folder=folder, extra=faults({"do": "sleep", "value": 5}), program=teller)
    found: Counter[str] = Counter()
    with Ext4(folder / "disk") as disk:
        horizon = _SPAN * _first(shell, disk)
        number, told = 0, set[str]()
        for _ in range(count):
            directory = RunDirectory(disk.folder / f"run-{number}")
            fresh = _cut(shell, disk, directory, draw.uniform(0, horizon), draw.choice(["1", "4"]))
            found["acknowledged"] += len(fresh)
            told |= fresh
            meddle(directory)
            found.update(_after(directory, told))
            if len(told) > _PICTURES * 3 // 4:
                number, told = number + 1, set()
    ok = found["acknowledged"] > 0 and not any(found[name] for name in ("lost", "torn before", "torn after"))
    names = ("acknowledged", "lost", "torn before", "torn after", "adopted", "moved aside")
    counts = {name: found[name] for name in names}
    return Row(name="power cuts", tried=count, counts=counts, ok=ok, note=f"{time.monotonic() - begun:.0f} s")


def _start(shell: Shell, directory: RunDirectory, batch: str) -> subprocess.Popen[str]:
    return shell.start(str(directory.root), str(_PICTURES), batch)


def _first(shell: Shell, disk: Ext4) -> float:
    """Return how many seconds it takes to tell of the first picture."""
    begun = time.monotonic()
    child = _start(shell, RunDirectory(disk.folder / "first"), "1")
    assert child.stdout is not None
    child.stdout.readline()
    seconds = time.monotonic() - begun
    _ended(child)
    return seconds


def _cut(shell: Shell, disk: Ext4, directory: RunDirectory, moment: float, batch: str) -> set[str]:
    """Start a run, cut the power after `moment` seconds, bring it back; return what was told before the cut."""
    child = _start(shell, directory, batch)
    assert child.stdout is not None
    out = child.stdout.fileno()
    os.set_blocking(out, False)
    time.sleep(moment)
    said = _read(out)  # before the cut: what is told while the power goes may be true or not
    disk.cut()
    _ended(child)
    disk.restart()
    return {word for word in said.split("\n")[:-1] if word}


def _read(out: int) -> str:
    said = b""
    try:
        while data := os.read(out, 1 << 16):
            said += data
    except BlockingIOError:
        pass
    return said.decode()


def _ended(child: subprocess.Popen[str]) -> None:
    for pid in (child.pid, *children(child.pid)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    child.communicate()


def _after(directory: RunDirectory, told: set[str]) -> Counter[str]:
    """Count what the cut has done, before and after recovery."""
    found = Counter({"torn before": sum(whole(path) is None for path in pictures(directory))})
    with hold(directory) as held:
        there = {id_ for id_, done in held.done.items() if whole(done.picture) == id_}
        found["adopted"], found["moved aside"] = len(held.adopted), len(held.quarantined)
    found["lost"] = len(told - there)
    found["torn after"] = sum(whole(path) is None for path in pictures(directory))
    return found
