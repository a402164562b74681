"""Two runs that begin in one directory at the same moment: one renders, the other says who does and ends with 75."""

import contextlib
import random
import re
import shutil
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median

from batchgen.store.layout import RunDirectory
from trials import Meddle, Row, untouched
from trials.command import FAKE, LONGEST, Shell, children, faults
from trials.watching import Watch

_PICTURES = 2000
_WORDS = ("run", "--prompt", "a red circle", "--seeds", f"0..{_PICTURES - 1}", FAKE, "steps=1", "runtime.batch=1")
_NAP = 150
"""Milliseconds of a picture: the winner has minutes to do, however slowly the other one starts."""

Places = Callable[[Path], tuple[Path, Path]]
"""Where the two runs begin, below a folder."""


def _one_place(folder: Path) -> tuple[Path, Path]:
    return folder / "run", folder / "run"


def pairs(count: int, folder: Path, seed: int, *, meddle: Meddle = untouched, places: Places = _one_place) -> Row:
    """Start two at once, `count` times. The winner is interrupted once the other one has ended, so that none waits."""
    draw, found, waited = random.Random(seed), Counter[str](), list[float]()
    shell = Shell(folder=folder, extra=faults({"do": "sleep", "value": _NAP}))
    for number in range(count):
        here = folder / f"{number}"
        first, second = places(here)
        ends, seconds = _pair(shell, first, second, draw.uniform(0, 0.05))
        found[ends] += 1
        waited.append(seconds)
        watch = Watch(RunDirectory(first))
        meddle(watch.directory)
        judged = watch.judged([])
        found["torn or twice"] += judged["torn"] + judged["duplicates"]
        shutil.rmtree(here)
    ok = found["one won"] == count and not found["torn or twice"]
    names = ("one won", "both won", "none won", "holder not named", "torn or twice")
    note = f"refused within {median(waited):.1f} s of its start (median), {max(waited):.1f} s at most"
    return Row(name="double starts", tried=count, counts={name: found[name] for name in names}, ok=ok, note=note)


def _pair(shell: Shell, first: Path, second: Path, apart: float) -> tuple[str, float]:
    """Start two runs `apart` seconds from each other; say what came of it, and when the loser ended."""
    one = shell.start(*_WORDS, "--into", str(first))
    time.sleep(apart)
    other = shell.start(*_WORDS, "--into", str(second))
    begun = time.monotonic()
    losers = _ended_first(one, other)
    seconds = time.monotonic() - begun
    winners = [each for each in (one, other) if each not in losers]
    for each in winners:
        each.terminate()  # as Ctrl-C, which a background process may be told to ignore
    said = {each.pid: each.communicate(timeout=LONGEST)[1] for each in (one, other)}
    codes = sorted(each.returncode for each in (one, other))
    if codes == [75, 75]:
        return "none won", seconds
    if 75 not in codes or len(winners) != 1:
        return "both won", seconds
    named = re.search(r"held by another run, process (\d+) ", said[losers[0].pid])
    return ("one won" if named and int(named[1]) == winners[0].pid else "holder not named"), seconds


def _ended_first(*both: subprocess.Popen[str]) -> list[subprocess.Popen[str]]:
    """Return those that have ended, once one has; nobody where both have a worker, which only who has a lock starts."""
    while not all(children(each.pid) for each in both):
        for each in both:
            with contextlib.suppress(subprocess.TimeoutExpired):
                each.wait(0.01)
        if ended := [each for each in both if each.returncode is not None]:
            return ended
    return []
