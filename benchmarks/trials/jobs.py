"""Jobs of the fake engine, rendered by the loop of a run without the command line around it.

As a program, `python -m trials.jobs ROOT COUNT BATCH`, it prints the id of each picture when that is finished.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from batchgen.engine import Runtime
from batchgen.events import Event, Finished, Listener
from batchgen.job import Model, make_job
from batchgen.plan.expand import Cell, Coordinates
from batchgen.plan.plan import make_plan
from batchgen.run.patience import PATIENCE, Patience
from batchgen.run.runner import Summary, Work, run
from batchgen.store.held import hold
from batchgen.store.layout import RunDirectory

_MODEL = Model(digest="7".ljust(64, "0"), family="sd15", name="toy", path="/models/toy")


def cell(seed: int, prompt: str = "a heron") -> Cell:
    """Return one picture of 64 x 64 in three steps."""
    canvas = {"width": 64, "height": 64, "steps": 3}
    sampling = {"sampler": "euler", "schedule": "normal", "guidance_scale": 2.0}
    job = make_job(_MODEL, {"prompt": prompt, "seed": seed} | canvas | sampling)
    return Cell(coordinates=Coordinates(("seed",), (seed,)), job=job, name=None, note=None)


def stem(each: Cell) -> str:
    """Return its file's name."""
    return f"heron_s{each.job.seed}_{each.job.id[:8]}"


def render(
    directory: RunDirectory, cells: Sequence[Cell], *, batch: int, listen: Listener, patience: Patience = PATIENCE
) -> Summary:
    """Render what of `cells` is not there."""
    with hold(directory) as held:
        plan = make_plan(cells, held.known, batch=batch)
        work = Work(runtime=Runtime(engine="fake"), stem=stem, patience=patience)
        return run(plan, held, work, listen)


def _tell(event: Event) -> None:
    if isinstance(event, Finished):
        print(event.id, flush=True)


def main(root: str, count: str, batch: str) -> None:
    """Render `count` pictures and tell of each."""
    render(RunDirectory(Path(root)), [cell(seed) for seed in range(int(count))], batch=int(batch), listen=_tell)


if __name__ == "__main__":
    main(*sys.argv[1:])
