"""Clips that begin with a frame of another one."""

from zipfile import ZipFile

import numpy as np
import pytest
from PIL import Image

from batchgen.diffusion.engine import DiffusionEngine
from batchgen.engine import Runtime, frame_name
from batchgen.errors import EngineError
from batchgen.job import File, Stage

FAMILY = "cogvideox_i2v"


@pytest.fixture
def clip_for(tiny, job_for):
    def of(begin, seed=1):
        fields = {"frames": 9, "width": 48, "steps": 3, "sampler": "cogvideox_ddim", "seed": seed}
        return job_for(tiny(FAMILY), init_image=begin, **fields)

    return of


@pytest.fixture
def session(tiny):
    return DiffusionEngine(Runtime(device="cpu", threads=1)).open(tiny(FAMILY))


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "first.png"
    Image.effect_mandelbrot((48, 32), (-2, -1, 1, 1), 9).convert("RGB").save(path)
    return File(digest="7" * 64, name="first", path=str(path))


def rendered(session, *jobs):
    return [each.pixels for each in session.render(jobs, lambda _: None)]


def test_what_begins_with_a_frame_of_a_clip_is_as_if_that_frame_were_a_picture(clip_for, session, picture, tmp_path):
    before = clip_for(picture)
    (frames,) = rendered(session, before)
    path = str(tmp_path / "frames.zip")
    with ZipFile(path, "w") as archive:
        for number, frame in enumerate(frames, start=1):
            with archive.open(frame_name(number), "w") as file:
                Image.fromarray(frame).save(file, "PNG")

    made = []
    for number in (1, 9):
        Image.fromarray(frames[number - 1]).save(tmp_path / f"{number}.png")
        alone = File(digest=f"{number}" * 64, path=str(tmp_path / f"{number}.png"))
        of_clip, of_picture = (clip_for(each) for each in (Stage(job=before, frame=number, path=path), alone))
        made += rendered(session, of_clip)
        assert np.array_equal(*rendered(session, of_picture), made[-1])
    assert not np.array_equal(*made)

    both = rendered(session, *(clip_for(Stage(job=before, frame=number, path=path)) for number in (1, 9)))
    assert not np.array_equal(*both)


@pytest.mark.parametrize("name", ["empty.zip", "none.zip"])
def test_a_frame_that_is_not_there_is_said_in_a_line(clip_for, session, picture, tmp_path, name):
    with ZipFile(tmp_path / "empty.zip", "w"):
        pass
    stage = Stage(job=clip_for(picture), frame=2, path=str(tmp_path / name))

    with pytest.raises(EngineError, match=rf"{name}: cannot be read as a picture"):
        rendered(session, clip_for(stage, seed=2))
