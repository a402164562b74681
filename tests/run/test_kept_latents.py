"""What the denoiser made is kept until its picture is safe: real workers, the embedded model, large pictures."""

import json
import sys
from dataclasses import dataclass, replace

import pytest

from batchgen.engine import Runtime
from batchgen.errors import TryLater
from batchgen.job import Model
from batchgen.plan.plan import make_plan
from batchgen.run.messages import SetUp
from batchgen.run.retries import Queue
from batchgen.run.signals import Signals
from batchgen.run.supervisor import Arrived, GivenUp, Supervisor
from batchgen.shipped import shipped_model
from batchgen.store.held import Fresh, hold
from batchgen.store.layout import RunDirectory

WORKER = """
import errno, os, signal, sys
from pathlib import Path
from torch import OutOfMemoryError
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from batchgen.diffusion.session import Batch
from batchgen.run import encoding, worker

log, faults = Path(sys.argv[1]), sys.argv[2].split()
denoise, decode, write = Batch.denoise, AutoencoderKL.decode, encoding.write_new

def due(name):
    if name not in faults or log.read_text().count(name) == faults.count(name):
        return False
    say(name)
    return True

def say(word):
    with log.open("a") as file:
        file.write(word + "\\n")

def denoising(self, *rest, **more):
    say(f"denoise {len(self.jobs)}")
    return denoise(self, *rest, **more)

def decoding(self, *rest, **more):
    if due("memory"):
        raise OutOfMemoryError("CUDA out of memory.")
    if log.read_text().count("decoded") == 1 and due("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    pictures = decode(self, *rest, **more)
    say("decoded")
    return pictures

def writing(path, data):
    if path.suffix == ".png" and due("disk"):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
    write(path, data)

Batch.denoise, AutoencoderKL.decode, encoding.write_new = denoising, decoding, writing
worker.main(sys.argv[3:])
"""
"""A worker that counts what it does in a log, and to which things happen, each as often as it is named."""


@dataclass
class Outcome:
    """What came of some pictures."""

    log: list[str]
    records: dict[int, dict]
    """By seed."""
    given_up: list[str]

    @property
    def pixels(self):
        return {seed: record["output"]["pixel_sha256"] for seed, record in self.records.items()}


def render(a, directory, faults="", count=2, batch=2, **changes):
    """Make large pictures with the embedded model, by workers to which `faults` happen."""
    model = Model(digest="d" * 64, family="sd15", name="demo", path=str(shipped_model("demo_shapes")))
    recipe = {"prompt": "a red circle on a blue background", "width": 512, "height": 512}
    recipe |= {"steps": 1, "guidance_scale": 1.0} | changes
    asked = [a.cell(seed, **recipe) for seed in range(count)]
    asked = [replace(each, job=replace(each.job, model=model)) for each in asked]
    log = directory.root.with_suffix(".log")
    log.touch()
    words = (sys.executable, "-W", "ignore", "-c", WORKER, str(log), faults)
    given_up = []
    with hold(directory) as held, Signals() as signals:
        runtime = Runtime(device="cpu", threads=1)
        setup = SetUp(runtime=runtime, tmp=directory.tmp, compression=1, manifest=None)
        for group in make_plan(asked, held.known, batch=batch).groups:
            with Supervisor(setup, held.lock, directory.worker_log, signals, words) as worker:
                for news in worker.rendered(group.model, Queue(group.batches)):
                    if isinstance(news, Arrived):
                        held.publish([fresh(made) for made in news.pictures])
                    elif isinstance(news, GivenUp):
                        given_up.append(news.reason)
    records = (json.loads(path.read_bytes()) for path in directory.records.iterdir())
    return Outcome(log.read_text().splitlines(), {each["recipe"]["seed"]: each for each in records}, given_up)


def fresh(made):
    fields = {name: getattr(made, name) for name in Fresh.__slots__ if name != "stem"}
    return Fresh(**fields, stem=made.id[:12])


@pytest.fixture(scope="module")
def undisturbed(a, tmp_path_factory):
    outcome = render(a, RunDirectory(tmp_path_factory.mktemp("calm") / "run"))
    assert (outcome.given_up, outcome.log) == ([], ["denoise 2", "decoded", "decoded"])
    return outcome


DENOISING = ("batch_size", "batch_index", "batch_ids", "sigmas", "denoiser_evaluations", "prompt_tokens", "dtype")


def check(outcome, undisturbed, kept):
    """Assert the same pixels, said to come of the same denoising, of which there was one; `kept` are the seeds."""
    assert outcome.given_up == []
    assert outcome.pixels == undisturbed.pixels
    assert [word for word in outcome.log if word.startswith("denoise")] == ["denoise 2"]
    for seed, record in outcome.records.items():
        execution, calm = record["execution"], undisturbed.records[seed]["execution"]
        assert {name: execution[name] for name in DENOISING} == {name: calm[name] for name in DENOISING}
        assert execution.get("latent_kept", False) is (seed in kept)


def test_after_a_worker_is_killed_while_it_decodes_the_next_one_runs_no_denoiser(a, directory, undisturbed):
    outcome = render(a, directory, "kill")

    assert outcome.log == ["denoise 2", "decoded", "kill", "decoded", "decoded"]
    check(outcome, undisturbed, kept={0, 1})
    assert [record["execution"]["attempt"] for record in outcome.records.values()] == [2, 2]
    assert list(directory.latents.iterdir()) == []


def test_decoding_that_has_no_memory_twice_is_tried_again_without_the_denoiser(a, directory, undisturbed):
    outcome = render(a, directory, "memory memory")

    assert outcome.log == ["denoise 2", "memory", "memory", "decoded", "decoded"]
    check(outcome, undisturbed, kept={0, 1})
    assert list(directory.latents.iterdir()) == []


def test_decoding_that_has_no_memory_once_is_no_failure(a, directory, undisturbed):
    outcome = render(a, directory, "memory")

    assert outcome.log == ["denoise 2", "memory", "decoded", "decoded"]
    check(outcome, undisturbed, kept=set())


def test_after_a_full_disk_the_next_run_runs_no_denoiser(a, directory, undisturbed):
    with pytest.raises(TryLater, match="No space left"):
        render(a, directory, "disk disk")
    assert len(list(directory.latents.iterdir())) == 2

    outcome = render(a, directory)

    assert [word for word in outcome.log if word != "disk"] == ["denoise 2"] + ["decoded"] * 4
    check(outcome, undisturbed, kept={0, 1})
    assert list(directory.latents.iterdir()) == []


def test_the_latents_of_jobs_that_are_given_up_wait_for_the_next_run(a, directory, undisturbed):
    always = render(a, directory, " ".join(["memory"] * 14))
    assert len(always.given_up) == 2
    assert always.log == ["denoise 2"] + ["memory"] * 14
    assert len(list(directory.latents.iterdir())) == 2

    check(render(a, directory), undisturbed, kept={0, 1})


def test_what_does_not_fit_is_decoded_in_tiles_where_that_was_chosen_and_the_record_says_so(a, directory):
    small = {"width": 96, "height": 80, "count": 1, "batch": 1}
    tiled = render(a, directory, "memory memory", **small, vae_tiling="on_oom")
    asked = render(a, RunDirectory(directory.root.with_name("asked")), **small, vae_tiling="on")

    assert tiled.log == ["denoise 1", "memory", "memory", "decoded"]
    assert tiled.records[0]["execution"]["vae_tiled"] is asked.records[0]["execution"]["vae_tiled"] is True
    assert tiled.pixels == asked.pixels
