import json
import os

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import save_file

from batchgen.engine import Latent, Together
from batchgen.store.held import hold
from batchgen.store.latents import KeptLatents

SHAPE = (4, 64, 64)
ENVIRONMENT = "e" * 64


@pytest.fixture
def job(build_):
    return build_.job(width=512, height=512)


@pytest.fixture
def latent(job):
    values = np.random.default_rng(1).standard_normal(SHAPE, dtype=np.float32)
    facts = {"sigmas": [14.6146, 0.1 + 0.2], "denoiser_evaluations": 20, "dtype": "fp16", "guided": True, "note": "日"}
    return Latent(values=values, facts=facts, together=Together(ids=("a", job.id), index=1))


@pytest.fixture
def kept(directory):
    directory.create()
    return KeptLatents(directory, ENVIRONMENT)


def equal(one, other):
    return np.array_equal(one.values, other.values) and (one.facts, one.together) == (other.facts, other.together)


def files(directory):
    return [path.name for folder in (directory.tmp, directory.latents) for path in folder.iterdir()]


def test_what_was_kept_is_found_bit_for_bit_with_what_is_said_of_it(directory, kept, job, latent):
    kept.keep(job, latent)

    assert files(directory) == [f"{job.id}.safetensors"]
    assert equal(KeptLatents(directory, ENVIRONMENT).find(job, SHAPE), latent)


def test_only_large_pictures_have_latents_worth_keeping(directory, kept, build_, latent):
    small, large = build_.job(width=512, height=504), build_.job(width=256, height=1024)
    kept.keep(small, latent)
    kept.keep(large, latent)

    assert files(directory) == [f"{large.id}.safetensors"]


def test_what_is_not_finite_is_not_kept(directory, kept, job, latent):
    latent.values[0, 0, 0] = np.inf
    kept.keep(job, latent)

    assert files(directory) == []


def test_of_nothing_nothing_is_found(directory, kept, job):
    assert kept.find(job, SHAPE) is None
    directory.latents.rmdir()
    assert kept.find(job, SHAPE) is None


def test_a_latent_of_another_environment_is_left_alone_until_there_is_a_newer_one(directory, kept, job, latent):
    kept.keep(job, latent)
    elsewhere = KeptLatents(directory, "f" * 64)

    assert elsewhere.find(job, SHAPE) is None
    assert equal(kept.find(job, SHAPE), latent)
    elsewhere.keep(job, latent)
    assert kept.find(job, SHAPE) is None


def test_a_latent_of_another_batchgen_is_not_used(kept, job, latent, directory):
    kept.keep(job, latent)
    said, values = unpacked(directory.latent(job.id))
    packed(directory.latent(job.id), said | {"batchgen_version": "0.0.9"}, values)

    assert kept.find(job, SHAPE) is None


def unpacked(path):
    with safe_open(path, framework="np") as file:
        return json.loads(file.metadata()["batchgen"]), file.get_tensor("latent")


def packed(path, said, values, name="latent"):
    save_file({name: values}, path, metadata={"batchgen": said if isinstance(said, str) else json.dumps(said)})


def change_said(**changes):
    def change(path):
        said, values = unpacked(path)
        packed(path, {name: value for name, value in (said | changes).items() if value is not None}, values)

    return change


def change_values(by):
    def change(path):
        said, values = unpacked(path)
        packed(path, said, by(values))

    return change


def not_finite(values):
    values[1, 2, 3] = np.nan
    return values


DAMAGES = {
    "other shape": change_values(lambda values: values[:, :32]),
    "shape in another order": change_values(lambda values: values.reshape(64, 4, 64)),
    "other dtype": change_values(lambda values: values.astype(np.float16)),
    "other dtype of the same size": change_values(lambda values: values.view(np.int32)),
    "not finite": change_values(not_finite),
    "other id": change_said(id="f" * 64),
    "no id": change_said(id=None),
    "no facts": change_said(facts=None),
    "facts that are none": change_said(facts=["dtype"]),
    "facts that no record takes": change_said(facts={"sigmas": [float("nan")]}),
    "half a character": change_said(facts={"note": "\ud800"}),
    "no place": change_said(together=None),
    "a place that is none": change_said(together={"ids": ["a"], "index": 1}),
    "ids that are none": change_said(together={"ids": [1], "index": 0}),
    "nothing said": lambda path: save_file({"latent": unpacked(path)[1]}, path),
    "nonsense said": lambda path: packed(path, "[" * 100_000, unpacked(path)[1]),
    "another name": lambda path: packed(path, unpacked(path)[0], unpacked(path)[1], "latents"),
}


def is_removed(directory, kept, job, latent, damage):
    kept.keep(job, latent)
    path = directory.latent(job.id)
    damage(path)
    assert os.path.lexists(path)

    assert kept.find(job, SHAPE) is None

    assert not os.path.lexists(path)
    kept.keep(job, latent)
    assert equal(kept.find(job, SHAPE), latent)


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_file_that_is_no_whole_latent_of_the_job_is_removed(directory, kept, job, latent, damage):
    is_removed(directory, kept, job, latent, DAMAGES[damage])


def test_a_latent_to_which_something_happened_is_removed(directory, kept, job, latent, harm):
    is_removed(directory, kept, job, latent, harm)


def test_without_room_nothing_is_kept_and_nothing_left_behind(directory, kept, job, latent, room_for):
    with room_for(1000):
        kept.keep(job, latent)

    assert files(directory) == []


@pytest.mark.parametrize("folder", ["latents", "tmp"])
def test_without_a_folder_nothing_is_kept_and_nothing_fails(directory, kept, job, latent, folder):
    getattr(directory, folder).rmdir()
    kept.keep(job, latent)

    directory.create()
    assert files(directory) == []


def test_a_latent_leaves_when_its_picture_is_published_and_others_stay(directory, kept, build_, latent):
    done, other = build_.job(0), build_.job(1)
    with hold(directory) as held:
        for job in (done, other):
            KeptLatents(directory, ENVIRONMENT, least=0).keep(job, latent)
        held.publish([build_.fresh(directory, done)])

        assert files(directory) == [f"{other.id}.safetensors"]


def test_a_start_removes_latents_of_pictures_that_are_there_and_of_no_others(directory, kept, build_, latent):
    done, gone, failed = (build_.job(seed) for seed in range(3))
    with hold(directory) as held:
        (_, lost) = held.publish([build_.fresh(directory, job) for job in (done, gone)]).done
        held.fail(failed.id, "no memory", 3)
    lost.picture.unlink()
    for job in (done, gone, failed):
        KeptLatents(directory, ENVIRONMENT, least=0).keep(job, latent)

    with hold(directory):
        pass

    assert sorted(files(directory)) == sorted(f"{job.id}.safetensors" for job in (gone, failed))
