"""Power cuts at random moments: an ext4 of its own is shut down under a run that tells of every finished picture.

What was told before the cut must be there when the power is back. The file system's log is replayed as after a real
cut; that a disk forgets what it said it had written is not modelled.
"""

import contextlib
import os
import random
import select
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
from trials.command import LONGEST, Shell, children, faults
from trials.volumes import Ext4, refusal
from trials.watching import pictures, whole

TELLER = (sys.executable, "-m", "trials.jobs")

_PICTURES = 400
"""In one run directory."""


def cuts(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched, teller: Sequence[str] = TELLER) -> Row:
    """Cut the power `count` times, in turn after something was told, and at any moment from the start on.

    Args:
        count: How often.
        folder: An empty one.
        seed: Of the moments.
        meddle: What is done when the power is back.
        teller: The program that renders and tells.
    """
    if reason := refusal("ext4", folder):
        return Row(name="power cuts", tried=0, ok=True, note=f"skipped: {reason}")
    begun, draw = time.monotonic(), random.Random(seed)
    shell = Shell(folder=folder, extra=faults({"do": "sleep", "value": 5}), program=teller)
    found: Counter[str] = Counter()
    with Ext4(folder / "disk") as disk:
        first = _first(shell, disk)
        number, told = 0, set[str]()
        for cut in range(count):
            directory = RunDirectory(disk.folder / f"run-{number}")
            child = _start(shell, directory, draw.choice(["1", "4"]))
            if cut % 2 == 0:
                _wait_for_word(child)
            time.sleep(draw.uniform(0, first if cut % 2 == 0 else 2 * first))
            fresh = _cut(disk, child)
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


def _wait_for_word(child: subprocess.Popen[str]) -> None:
    assert child.stdout is not None
    select.select([child.stdout.fileno()], [], [], LONGEST)


def _cut(disk: Ext4, child: subprocess.Popen[str]) -> set[str]:
    """Cut the power and bring it back; return what `child` has told before."""
    assert child.stdout is not None
    os.set_blocking(child.stdout.fileno(), False)
    said = _read(child.stdout.fileno())  # before the cut: what is told while the power goes may be true or not
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
