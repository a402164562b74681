import json
import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest

from batchgen.engine import Runtime
from batchgen.errors import DeviceLost, EngineError, ModelError, NotFinite, OutOfMemory
from batchgen.fake import FAULTS, FakeEngine, Fault, Faults, faults_asked_for, picture_of, read_id
from batchgen.job import Model, make_job

MODEL = Model(digest="0" * 64, family="sd15", name="toy", path="/models/toy")


def job(seed=0, width=64, height=64):
    values = {"prompt": "a heron", "seed": seed, "width": width, "height": height}
    sampling = {"sampler": "euler", "schedule": "normal", "steps": 3, "guidance_scale": 2.0}
    return make_job(MODEL, values | sampling)


def render(*faults, steps=None, state=None):
    session = FakeEngine(Faults(faults=faults, state=state)).open(MODEL)
    return session.render([job(1), job(2)], (steps if steps is not None else []).append)


@pytest.mark.parametrize(("width", "height"), [(64, 64), (8, 8), (72, 40), (40, 72), (100, 99)])
def test_a_picture_has_its_size_and_says_which_job_it_is_of(width, height):
    asked = job(5, width, height)

    pixels = picture_of(asked)

    assert pixels.shape == (height, width, 3)
    assert pixels.dtype == np.uint8
    assert read_id(pixels) == asked.id


def test_a_picture_put_together_from_two_is_noticed():
    torn = picture_of(job(1))
    torn[32:] = picture_of(job(2))[32:]

    with pytest.raises(ValueError, match=r"begins as .* and ends as"):
        read_id(torn)


def test_pictures_come_in_the_order_of_the_jobs_and_steps_are_told():
    steps = []

    rendered = render(steps=steps)

    assert [read_id(each.pixels) for each in rendered] == [job(1).id, job(2).id]
    assert steps == [1, 2, 3]


def test_opened_and_closed_models_are_counted():
    engine = FakeEngine(Faults())

    engine.open(MODEL).close()
    engine.open(MODEL)

    assert engine.opened == ["toy", "toy"]
    assert engine.closed == ["toy"]


@pytest.mark.parametrize(
    ("do", "kind"),
    [("error", EngineError), ("not_finite", NotFinite), ("device", DeviceLost), ("crash", RuntimeError)],
)
def test_it_fails_as_asked_and_only_with_the_job_that_was_named(do, kind):
    with pytest.raises(kind):
        render(Fault(do=do, seed=2))

    assert len(render(Fault(do=do, seed=3))) == 2


def test_memory_runs_out_above_the_number_given():
    with pytest.raises(OutOfMemory):
        render(Fault(do="out_of_memory", value=1))

    assert len(render(Fault(do="out_of_memory", value=2))) == 2


def test_a_model_that_shall_not_open_does_not():
    with pytest.raises(ModelError):
        FakeEngine(Faults(faults=(Fault(do="open"),))).open(MODEL)


def test_faults_are_counted_across_engines(tmp_path):
    fault = Fault(do="error", times=2)

    for _ in range(2):
        with pytest.raises(EngineError):
            render(fault, state=tmp_path)

    assert len(render(fault, state=tmp_path)) == 2


def test_faults_come_from_the_environment(monkeypatch):
    monkeypatch.setenv(FAULTS, json.dumps({"state": "/tmp/x", "faults": [{"do": "signal", "seed": 3, "value": 11}]}))

    assert faults_asked_for().faults == (Fault(do="signal", seed=3, value=11),)


def test_it_needs_no_torch():
    code = "import batchgen.fake as f, sys; f.FakeEngine().environment(); print('torch' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout == b"False\n"
    assert Runtime(engine="fake").engine == "fake"


def clip(seed=0, frames=9):
    values = {"prompt": "a heron", "seed": seed, "width": 64, "height": 48, "frames": frames}
    sampling = {"sampler": "euler", "schedule": "normal", "steps": 3, "guidance_scale": 2.0}
    return make_job(MODEL, values | sampling)


def test_a_clip_has_its_frames_each_other_than_the_one_before_and_says_which_job_it_is_of():
    pixels = picture_of(clip())

    assert (pixels.shape, pixels.dtype) == ((9, 48, 64, 3), np.uint8)
    assert all((one != other).any() for one, other in pairwise(pixels))
    assert read_id(pixels) == clip().id
    assert (picture_of(clip(1)) != pixels).any()


def test_a_clip_can_be_without_frames():
    (rendered,) = FakeEngine(Faults(faults=(Fault(do="no_frames"),))).open(MODEL).render([clip()], lambda _: None)

    assert rendered.pixels.shape == (0, 48, 64, 3)
