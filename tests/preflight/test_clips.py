from dataclasses import replace

import pytest

from batchgen.errors import ConfError, StoreError
from batchgen.job import Model, make_job
from batchgen.preflight.clips import check_clips, check_encoder
from batchgen.settings import Output
from batchgen.store import ffmpeg

MODEL = Model(digest="0" * 64, family="cogvideox", name="toy", path="/models/toy")


def job(**changes):
    values = {"prompt": "a heron", "seed": 0, "width": 64, "height": 48, "frames": 9}
    sampling = {"sampler": "euler", "schedule": "normal", "steps": 3, "guidance_scale": 2.0}
    return make_job(MODEL, values | sampling | changes)


@pytest.mark.parametrize("container", ["mp4", "webm", "gif", "webp", "frames"])
def test_an_odd_size_is_refused_for_mp4_alone_with_the_nearest_even_ones(container):
    jobs, output = [job(), job(width=63)], Output(clips=container)
    if container != "mp4":
        check_clips(jobs, output)
        return

    with pytest.raises(ConfError) as caught:
        check_clips(jobs, output)

    assert str(caught.value) == (
        "output.clips=mp4: an mp4 has even sides only (H.264, yuv420p) and 63x48 has not: "
        "take 62x48 or 64x48, or output.clips=webm"
    )


def test_pictures_may_have_any_size_and_need_no_encoder(monkeypatch):
    def missing():
        raise StoreError("gone")

    monkeypatch.setattr(ffmpeg, "version", missing)

    check_clips([job(width=63, frames=1)], Output())
    check_encoder([job(frames=1)], Output())
    check_encoder([job()], Output(clips="webp"))
    with pytest.raises(ConfError, match=r"output.clips=mp4: gone; reinstall imageio-ffmpeg, or take output.clips=webp"):
        check_encoder([job()], Output())


def test_a_program_that_is_no_ffmpeg_is_said_before_anything_is_rendered(monkeypatch, tmp_path):
    broken = tmp_path / "ffmpeg"
    broken.write_text("#!/bin/sh\necho it lacks a library >&2\nexit 127\n")
    broken.chmod(0o755)
    ffmpeg.version.cache_clear()
    monkeypatch.setattr(ffmpeg, "program", lambda: str(broken))

    with pytest.raises(ConfError, match="ended with exit status 127: it lacks a library"):
        check_encoder([job()], replace(Output(), clips="webm"))

    ffmpeg.version.cache_clear()
