import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass, field
from itertools import count as count_from
from pathlib import Path

import pytest

from batchgen.engine import Runtime
from batchgen.errors import BatchgenError
from batchgen.events import Event, Failed, Finished, Loaded
from batchgen.fake import FAULTS, read_id
from batchgen.job import Model, make_job
from batchgen.plan.expand import Cell, Coordinates
from batchgen.plan.plan import make_plan
from batchgen.run.runner import Summary, Work, run
from batchgen.store import held as held_module
from batchgen.store.held import hold
from batchgen.store.history import history
from batchgen.store.images import open_picture, validate
from batchgen.store.journal import Journal
from batchgen.store.layout import RunDirectory


def model(name="toy"):
    return Model(digest=name.encode().hex().ljust(64, "0"), family="sd15", name=name, path=f"/models/{name}")


def cell(seed=0, name="toy", *, label=None, note=None, **changes):
    values = {"prompt": "a heron", "seed": seed, "width": 64, "height": 48}
    sampling = {"sampler": "euler", "schedule": "normal", "steps": 3, "guidance_scale": 2.0}
    job = make_job(model(name), values | sampling | changes)
    return Cell(coordinates=Coordinates(("seed",), (seed,)), job=job, name=label, note=note)


def cells(count, name="toy", **changes):
    return [cell(seed, name, **changes) for seed in range(count)]


def stem(each):
    return f"heron_s{each.job.seed}_{each.job.id[:8]}"


@dataclass
class Outcome:
    """What came of a run."""

    events: list[Event] = field(default_factory=list)
    summary: Summary | None = None
    error: BatchgenError | None = None

    def of(self, kind):
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def loads(self):
        return [event.model for event in self.of(Loaded)]

    @property
    def made(self):
        return [event.id for event in self.of(Finished)]

    @property
    def failed(self):
        return {event.id: event.reason for event in self.of(Failed)}


def go(directory, asked, *, batch=4, work=None, listen=None):
    """Run what is asked for in `directory` as the command line does."""
    outcome = Outcome()
    with hold(directory) as held:
        plan = make_plan(asked, held.known, batch=batch)
        try:
            work = work or Work(runtime=Runtime(engine="fake"), stem=stem)
            outcome.summary = run(plan, held, work, listen or outcome.events.append)
        except BatchgenError as error:
            outcome.error = error
    return outcome


def check(directory, asked):
    """Assert that exactly what is asked for is there, whole, with the right pixels, and told of once."""
    past = history(directory)
    wanted = {each.job.id for each in asked}
    assert past.done.keys() == wanted
    assert not any(done.missing for done in past.done.values())
    assert {path.name for path in directory.pictures.iterdir()} == {done.picture.name for done in past.done.values()}
    for job_id, done in past.done.items():
        record, text = validate(done.picture)
        assert record["id"] == job_id
        assert read_id(open_picture(done.picture).pixels) == job_id
        assert directory.record(job_id).read_text() == text
    assert not list(directory.tmp.iterdir())


def records(directory):
    return [json.loads(path.read_bytes()) for path in directory.records.iterdir()]


CHILD = """
import importlib.util, sys
from pathlib import Path
spec = importlib.util.spec_from_file_location("builders", sys.argv[1])
builders = importlib.util.module_from_spec(spec)
sys.modules["builders"] = builders
spec.loader.exec_module(builders)
sys.exit(builders.main(Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4:]))
"""


def start(directory, count, *words, env=None):
    """Run `count` cells in a process of its own, which prints the ids of finished pictures."""
    words = [sys.executable, "-c", CHILD, __file__, str(directory.root), str(count), *words]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env)


def main(root, count, words):
    """What that process does; it dies where `words` say, as `patched` understands them."""
    if words:
        patched(words[0], int(words[1]))
    outcome = go(RunDirectory(root), cells(count), listen=tell)
    return outcome.error.exit_code if outcome.error else 0


def tell(event):
    if isinstance(event, Finished):
        print(event.id, flush=True)


def patched(place, group):
    """Let this process kill itself before or after a step of publishing the `group`-th arrivals."""
    when, name = place.split(" ")
    owner, attribute = {
        "place": (held_module, "place"),
        "record": (Path, "replace"),
        "folder": (held_module, "sync_directory"),
        "line": (Journal, "append"),
        "sync": (Journal, "sync"),
    }[name]
    step, publish, groups = getattr(owner, attribute), held_module.Held.publish, count_from(1)

    def dying(*args, **kwargs):
        if when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        step(*args, **kwargs)
        os.kill(os.getpid(), signal.SIGKILL)

    def published(*args):
        if next(groups) == group:
            setattr(owner, attribute, dying)
        return publish(*args)

    held_module.Held.publish = published


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "herons")


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """Ask the workers of this test to fail."""

    def ask(*asked):
        state = tmp_path / "faults"
        state.mkdir(exist_ok=True)
        monkeypatch.setenv(FAULTS, json.dumps({"state": str(state), "faults": asked}))

    return ask


@dataclass(frozen=True)
class Builders:
    """What the tests of this folder build with."""

    cell = staticmethod(cell)
    cells = staticmethod(cells)
    model = staticmethod(model)
    stem = staticmethod(stem)
    go = staticmethod(go)
    start = staticmethod(start)
    check = staticmethod(check)
    records = staticmethod(records)


@pytest.fixture(scope="session")
def a():
    return Builders()
