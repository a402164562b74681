"""A worker that dies in the middle of a batch has its successor go on there: real workers, the embedded model."""

import json
import sys
from dataclasses import dataclass, replace

import pytest

from batchgen.engine import Runtime
from batchgen.events import Stepped
from batchgen.job import Model
from batchgen.plan.plan import make_plan
from batchgen.run.messages import SetUp
from batchgen.run.retries import Queue
from batchgen.run.signals import Signals
from batchgen.run.supervisor import Arrived, GivenUp, Supervisor
from batchgen.shipped import shipped_model
from batchgen.store.held import Fresh, hold
from batchgen.store.interrupted import interrupted
from batchgen.store.layout import RunDirectory

WORKER = """
import os, signal, sys
from pathlib import Path
from batchgen.diffusion.decoding import Decoder
from batchgen.diffusion.samplers import Stepper
from batchgen.run import worker
from batchgen.store.interrupted import KeptBookmarks

log, faults = Path(sys.argv[1]), sys.argv[2].split()
model_input, keep, decode = Stepper.model_input, KeptBookmarks.keep, Decoder.decode

def due(name):
    if name not in faults or log.read_text().split().count(name) == faults.count(name):
        return False
    say(name)
    return True

def say(word):
    with log.open("a") as file:
        file.write(word + "\\n")

def called(self, latents):
    say(str(self.calls))
    return model_input(self, latents)

def keeping(self, jobs, bookmark):
    keep(self, jobs, bookmark)
    if log.read_text().split()[-1] in ("2", "4") and due("kill"):
        os.kill(os.getpid(), signal.SIGKILL)

def decoding(self, *rest):
    if due("error"):
        raise RuntimeError("nobody expected this")
    return decode(self, *rest)

Stepper.model_input, KeptBookmarks.keep, Decoder.decode = called, keeping, decoding
worker.main(sys.argv[3:])
"""
"""A worker that writes down each call of the network, and to which things happen, each as often as it is named."""


class Stopped(Exception):
    """Raised in the middle of a run, which ends its worker at once."""


@dataclass
class Outcome:
    """What came of some pictures."""

    log: str
    records: dict[int, dict]
    """By seed."""
    given_up: list[str]

    @property
    def pixels(self):
        return {seed: record["output"]["pixel_sha256"] for seed, record in self.records.items()}

    def said(self, name):
        return {seed: record["execution"].get(name) for seed, record in self.records.items()}


def render(a, directory, faults="", *, seeds=(1, 2), stop_after=None, every=1e-9, **changes):
    """Make pictures with the embedded model in batches of two, by workers to which `faults` happen."""
    model = Model(digest="d" * 64, family="sd15", name="demo", path=str(shipped_model("demo_shapes")))
    recipe = {
        "prompt": "a red circle on a blue background",
        "width": 64,
        "height": 64,
        "steps": 6,
        "sampler": "dpmpp_2m",
    }
    asked = [a.cell(seed, **recipe | changes) for seed in seeds]
    asked = [replace(each, job=replace(each.job, model=model)) for each in asked]
    log = directory.root.with_suffix(".log")
    log.touch()
    words = (sys.executable, "-W", "ignore", "-c", WORKER, str(log), faults)
    given_up = []
    with hold(directory) as held, Signals() as signals:
        runtime = Runtime(device="cpu", threads=1, checkpoint_every=every)
        setup = SetUp(runtime=runtime, tmp=directory.tmp, compression=1, manifest=None)
        for group in make_plan(asked, held.known, batch=2, begun=interrupted(directory)).groups:
            with Supervisor(setup, held.lock, directory.worker_log, signals, words) as worker:
                for news in worker.rendered(group.model, Queue(group.batches)):
                    if isinstance(news, Arrived):
                        held.publish([fresh(made) for made in news.pictures])
                    elif isinstance(news, GivenUp):
                        given_up.append(news.reason)
                    elif isinstance(news, Stepped) and news.step == stop_after:
                        raise Stopped
    records = (json.loads(path.read_bytes()) for path in directory.records.iterdir())
    return Outcome(" ".join(log.read_text().split()), {each["recipe"]["seed"]: each for each in records}, given_up)


def fresh(made):
    fields = {name: getattr(made, name) for name in Fresh.__slots__ if name != "stem"}
    return Fresh(**fields, stem=made.id[:12])


@pytest.fixture(scope="module")
def undisturbed(a, tmp_path_factory):
    outcome = render(a, RunDirectory(tmp_path_factory.mktemp("calm") / "run"), every=0)
    assert (outcome.given_up, outcome.log) == ([], "0 1 2 3 4 5")
    assert outcome.said("resumed_at_step") == {1: None, 2: None}
    return outcome


def test_after_a_worker_is_killed_the_next_one_goes_on_from_the_last_bookmark(a, directory, undisturbed):
    outcome = render(a, directory, "kill")

    assert outcome.log == "0 1 2 kill 3 4 5"
    assert outcome.pixels == undisturbed.pixels
    assert outcome.said("resumed_at_step") == {1: 3, 2: 3}
    assert outcome.said("attempt") == {1: 2, 2: 2}
    for record in outcome.records.values():
        assert record["seconds"] > record["execution"]["seconds_before"] / 2 > 0
    assert outcome.said("denoiser_evaluations") == {1: 6, 2: 6}
    assert list(directory.interrupted.iterdir()) == []


def test_a_batch_that_a_stopped_run_left_is_formed_again_beside_new_jobs(a, directory, undisturbed):
    with pytest.raises(Stopped):
        render(a, directory, stop_after=4)
    assert [len(together) for together in interrupted(directory)] == [2]

    outcome = render(a, directory, seeds=(0, 1, 2, 3))

    assert outcome.said("batch_size") == dict.fromkeys(range(4), 2)
    resumed = outcome.said("resumed_at_step")
    assert resumed[0] is resumed[3] is None
    # Of a step is told before its bookmark is kept.
    assert resumed[1] == resumed[2] >= 3
    assert {seed: outcome.pixels[seed] for seed in (1, 2)} == undisturbed.pixels
    assert list(directory.interrupted.iterdir()) == []


def test_what_fails_for_no_known_reason_begins_anew(a, directory, undisturbed):
    """Where it went on from may be what is wrong."""
    outcome = render(a, directory, "error")

    assert outcome.log == "0 1 2 3 4 5 error 0 1 2 3 4 5"
    assert outcome.pixels == undisturbed.pixels
    assert outcome.said("resumed_at_step") == {1: None, 2: None}


def test_jobs_that_killed_two_workers_are_tried_alone_and_from_the_beginning(a, directory):
    """A bookmark is of a batch of one size, on which bits depend."""
    outcome = render(a, directory, "kill kill")

    assert outcome.log == "0 1 2 kill 3 4 kill 0 1 2 3 4 5 0 1 2 3 4 5"
    assert outcome.said("batch_size") == {1: 1, 2: 1}
    assert outcome.said("resumed_at_step") == {1: None, 2: None}
    assert list(directory.interrupted.iterdir()) == []
