import hashlib
import os
from types import SimpleNamespace

import pytest

from batchgen.fake import picture_of
from batchgen.interop.a1111 import write
from batchgen.job import Model, make_job
from batchgen.store import clips, images
from batchgen.store.clips import KEEPING
from batchgen.store.held import Fresh
from batchgen.store.layout import RunDirectory
from batchgen.store.publish import write_new
from batchgen.store.record import Asked, Making, build, to_text

MODEL = Model(digest="0" * 64, family="sd15", name="toy", path="/home/somebody/models/toy")


def make(seed=0, **changes):
    values = {"prompt": "a heron", "seed": seed, "width": 64, "height": 48}
    sampling = {"sampler": "euler", "schedule": "normal", "steps": 3, "guidance_scale": 2.0}
    return make_job(MODEL, values | sampling | changes)


def making(job, **changes):
    fields = {
        "batch": (job.id,),
        "attempt": 1,
        "degradations": (),
        "environment": {"python": "3.11"},
        "manifest": {"name": "herons", "sha256": "f" * 64},
        "started": "2026-01-01T00:00:00.000+00:00",
        "seconds": 0.5,
    }
    return Making(**fields | changes)


def text_of(job, pixels=None, **facts):
    pixels = picture_of(job) if pixels is None else pixels
    return to_text(build(Asked(job=job), making(job), 0, facts, images.look(pixels)))


def png_of(job, pixels=None, text=None):
    pixels = picture_of(job) if pixels is None else pixels
    return images.encode(pixels, text_of(job, pixels) if text is None else text, write(job, version="0"), 1)


def fresh(directory, job, stem=None):
    data, text = png_of(job), text_of(job)
    file, record = directory.tmp / f"{job.id[:12]}.png", directory.tmp / f"{job.id[:12]}.json"
    write_new(file, data)
    write_new(record, text.encode())
    return Fresh(
        id=job.id,
        stem=stem or f"heron_s{job.seed}_{job.id[:8]}",
        file=file,
        record=record,
        bytes=len(data),
        file_sha256=hashlib.sha256(data).hexdigest(),
        pixel_sha256=images.pixel_sha256(picture_of(job)),
        seconds=0.5,
        attempt=1,
    )


def clip(stem, job, pixels=None, keeping=KEEPING):
    """Write the clip of a job, with its record inside, to `stem` and the suffix that belongs to it."""
    pixels = picture_of(job) if pixels is None else pixels

    def told(output):
        return to_text(build(Asked(job=job), making(job), 0, {}, output))

    return clips.write(pixels, job.motion.fps, keeping, stem, told)


def fresh_clip(directory, job, stem=None, keeping=KEEPING):
    written = clip(directory.tmp / job.id[:12], job, keeping=keeping)
    record = directory.tmp / f"{job.id[:12]}.json"
    write_new(record, written.text.encode())
    return Fresh(
        id=job.id,
        stem=stem or f"heron_s{job.seed}_{job.id[:8]}",
        file=written.file,
        record=record,
        bytes=written.bytes,
        file_sha256=written.file_sha256,
        pixel_sha256=written.pixel_sha256,
        seconds=0.5,
        attempt=1,
    )


@pytest.fixture(scope="session")
def build_():
    """Small builders: a job, its record, its picture, and that picture on its way into a run directory."""
    return SimpleNamespace(
        model=MODEL,
        job=make,
        making=making,
        text=text_of,
        png=png_of,
        fresh=fresh,
        clip=clip,
        fresh_clip=fresh_clip,
        picture=picture_of,
        encode=images.encode,
    )


@pytest.fixture
def directory(tmp_path):
    return RunDirectory(tmp_path / "herons")


def cut(path):
    with path.open("rb+") as file:
        file.truncate(path.stat().st_size - 1)


def linked(path):
    path.rename(path.with_name("elsewhere"))
    path.symlink_to(path.with_name("elsewhere"))


def fifo(path):
    path.unlink()
    os.mkfifo(path)


HARMS = {
    "empty": lambda path: path.write_bytes(b""),
    "no safetensors": lambda path: path.write_bytes(b"\x80\x04\x95" * 100),
    "a header that never ends": lambda path: path.write_bytes(b"\xff" * 8 + b"{" * 100),
    "cut": cut,
    "a link": linked,
    "a pipe": fifo,
    "huge": lambda path: os.truncate(path, 1 << 33),
}


@pytest.fixture(params=HARMS)
def harm(request):
    """What may happen to any file: called with its path."""
    return HARMS[request.param]
