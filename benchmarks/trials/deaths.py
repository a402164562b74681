"""Workers that die, hang or lose their device: jobs that did nothing wrong must all be made, and the others be named.

Most jobs at fault bring the worker down once, as a bad moment does; a few always do, and are given up after three
tries. Each has healthy neighbours in its batch.
"""

import os
import random
import signal
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from unittest import mock

from batchgen.events import Event, Failed
from batchgen.plan.expand import Cell
from batchgen.plan.plan import make_plan
from batchgen.run.patience import Patience
from batchgen.store.layout import RunDirectory
from trials import Meddle, Row, Trial, jobs, untouched
from trials.command import faults
from trials.watching import Watch

_TRIES = 3
_BATCH = 4
_HASTY = Patience(opening=60.0, quiet=1.9, step=1.9, grace=2.0)
"""So that a hundred hangs are over this day. Who is wrongly thought to hang is only tried again."""

_KINDS: Mapping[str, Mapping[str, Any]] = {
    "SIGSEGV": {"do": "signal", "value": signal.SIGSEGV},
    "SIGBUS": {"do": "signal", "value": signal.SIGBUS},
    "exit 137": {"do": "exit", "value": 137},
    "hang": {"do": "hang", "value": 1},
    "device lost": {"do": "device"},
}


def trial_of(kind: str) -> Trial:
    """Return the trial in which workers end by `kind`."""

    def trial(count: int, folder: Path, seed: int) -> Row:
        return deaths(kind, count, folder, seed)

    return trial


def deaths(kind: str, count: int, folder: Path, seed: int, *, meddle: Meddle = untouched) -> Row:
    """Let a worker end `count` times by `kind`."""
    draw, begun = random.Random(seed), time.monotonic()
    always = max(1, count // 20) if count >= _TRIES else 0
    once = count - _TRIES * always
    cells = [jobs.cell(number) for number in range(_BATCH * (once + always + 1))]
    guilty = _one_of_each_batch(cells, once + always, draw)
    poison = {each.job.id for each in guilty[:always]}
    asked = [{**_KINDS[kind], "seed": each.job.seed, "times": _TRIES} for each in guilty[:always]]
    asked += [{**_KINDS[kind], "seed": each.job.seed, "times": 1} for each in guilty[always:]]
    directory, failed = RunDirectory(folder / "run"), dict[str, str]()

    def listen(event: Event) -> None:
        if isinstance(event, Failed):
            failed[event.id] = event.reason

    with mock.patch.dict(os.environ, faults(*asked, state=folder / "state")):
        jobs.render(directory, cells, batch=_BATCH, listen=listen, patience=_HASTY)
    meddle(directory)
    wanted = {each.job.id for each in cells} - poison
    judged = Watch(directory).judged(wanted)
    happened = sum(file.stat().st_size for file in (folder / "state").iterdir())
    counts = {"jobs": len(cells), "healthy lost": judged["missing"], "wrongly given up": len(failed.keys() - poison)}
    counts |= {"poison made": judged["unasked"], "poison unnamed": len(poison - failed.keys())}
    counts |= {"torn or twice": judged["torn"] + judged["duplicates"]}
    ok = happened == count and not any(value for name, value in counts.items() if name != "jobs")
    note = f"{once} once, {always} jobs always; {time.monotonic() - begun:.0f} s"
    return Row(name=kind, tried=happened, counts=counts, ok=ok, note=note)


def _one_of_each_batch(cells: list[Cell], count: int, draw: random.Random) -> list[Cell]:
    """Draw jobs of different batches, and none of the first: by then nothing is known of how long a step takes."""
    batches = [batch for group in make_plan(cells, {}, batch=_BATCH).groups for batch in group.batches]
    return [draw.choice(batch) for batch in draw.sample(batches[1:], count)]
