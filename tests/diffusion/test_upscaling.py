"""Upscalers of spandrel's own network, with random weights that let every pixel depend on those around it."""

import json
import pickle
import subprocess
import sys
from dataclasses import replace
from importlib.util import find_spec
from itertools import pairwise
from zipfile import ZipFile

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from batchgen.diffusion.engine import DiffusionEngine
from batchgen.diffusion.spandrel_import import import_spandrel
from batchgen.engine import Runtime, frame_name
from batchgen.errors import EngineError, ModelError, NotFinite, OutOfMemory
from batchgen.job import UPSCALER, File, Model, Stage, make_job
from batchgen.parts import Canvas
from batchgen.plan.making import upscaling
from batchgen.shipped import shipped_model

pytestmark = pytest.mark.skipif(find_spec("spandrel") is None, reason="the extra `upscale` is not installed")


def weights(scale=2, features=4, depth=2, channels=3):
    """The state of a SRVGGNetCompact, the small network of Real-ESRGAN."""
    chooser = torch.Generator().manual_seed(5)
    sizes = [channels, *[features] * (depth + 1), channels * scale**2]
    state = {}
    for place, (before, after) in enumerate(pairwise(sizes)):
        state[f"body.{2 * place}.weight"] = torch.randn(after, before, 3, 3, generator=chooser) * 0.2
        state[f"body.{2 * place}.bias"] = torch.randn(after, generator=chooser) * 0.1
        if place <= depth:
            state[f"body.{2 * place + 1}.weight"] = torch.full((features,), 0.2)
    return state


def model_at(path):
    return Model(digest="1" * 64, family=UPSCALER, name=path.stem, path=str(path))


@pytest.fixture(scope="session")
def engine():
    return DiffusionEngine(Runtime(device="cpu", threads=1))


@pytest.fixture
def small(tmp_path):
    """An x2 upscaler in a file of its own."""
    save_file(weights(), tmp_path / "small_x2.safetensors")
    return model_at(tmp_path / "small_x2.safetensors")


@pytest.fixture
def picture(tmp_path):
    """Write a picture of random pixels, and return the file and the pixels."""

    def of(width, height, mode="RGB"):
        pixels = np.random.default_rng(width).integers(0, 256, (height, width, 3), dtype=np.uint8)
        path = tmp_path / f"{width}x{height}-{mode}.png"
        Image.fromarray(pixels).convert(mode).save(path)
        return File(digest="2" * 64, name=path.name, path=str(path)), pixels

    return of


def job_for(model, source, width, height):
    return upscaling(source, model, Canvas(width=width, height=height))


def rendered(session, *jobs):
    return session.render(jobs, lambda _: None)


def direct(path, pixels):
    """What the network itself makes of pixels, whole."""
    spandrel = import_spandrel()
    network = spandrel.ModelLoader().load_from_file(path)
    values = network(torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 255)[0]
    return (values * 255).round().byte().permute(1, 2, 0).numpy()


def test_a_picture_comes_out_as_the_network_has_it(engine, small, picture):
    source, pixels = picture(40, 24)

    (one,) = rendered(engine.open(small), job_for(small, source, 80, 48))

    assert one.pixels.dtype == np.uint8
    assert np.array_equal(one.pixels, direct(small.path, pixels))
    assert (one.facts["upscaler"], one.facts["scale"], one.facts["tiles"], one.facts["dtype"]) == (
        "small_x2",
        2,
        1,
        "fp32",
    )
    assert one.facts["resized"] is None


def test_a_clip_comes_out_as_the_network_has_each_of_its_frames(engine, small, tmp_path):
    frames = np.random.default_rng(1).integers(0, 256, (5, 24, 40, 3), dtype=np.uint8)
    with ZipFile(tmp_path / "frames.zip", "w") as archive:
        for number, frame in enumerate(frames, start=1):
            with archive.open(frame_name(number), "w") as file:
                Image.fromarray(frame).save(file, "PNG")
    values = {"prompt": "", "seed": 0, "width": 40, "height": 24, "steps": 2, "guidance_scale": 1.0, "frames": 5}
    moving = Model(digest="3" * 64, family="cogvideox", name="moving", path="")
    clip = make_job(moving, values | {"sampler": "cogvideox_ddim", "schedule": "simple"})
    steps = []

    (one,) = engine.open(small).render(
        [job_for(small, Stage(job=clip, path=str(tmp_path / "frames.zip")), 80, 48)], steps.append
    )

    assert one.pixels.shape == (5, 48, 80, 3)
    for made, frame in zip(one.pixels, frames, strict=True):
        assert np.array_equal(made, direct(small.path, frame))
    assert steps == [1, 2, 3, 4, 5]
    assert (one.facts["tiles"], one.facts["passes"]) == (5, 1)


def test_a_pickle_of_weights_does_the_same(engine, small, picture, tmp_path):
    torch.save({"params_ema": weights()}, tmp_path / "small.pth")
    pickled = model_at(tmp_path / "small.pth")
    source, _ = picture(40, 24)

    safe = rendered(engine.open(small), job_for(small, source, 80, 48))
    other = rendered(engine.open(pickled), job_for(pickled, source, 80, 48))

    assert np.array_equal(safe[0].pixels, other[0].pixels)


def test_a_large_picture_in_tiles_is_what_it_is_as_a_whole(engine, small, picture):
    source, pixels = picture(530, 70)
    told = []

    (one,) = engine.open(small).render([job_for(small, source, 1060, 140)], told.append)

    assert one.facts["tiles"] == 2
    assert told == [1, 2]
    apart = one.pixels.astype(int) - direct(small.path, pixels)
    assert np.abs(apart).max() <= 1


@pytest.mark.parametrize(
    ("size", "passes", "resized"),
    [
        ((80, 48), 1, None),
        ((60, 30), 1, "lanczos"),
        ((84, 48), 1, "lanczos"),
        ((160, 96), 2, None),
        ((500, 300), 2, "lanczos"),
    ],
)
def test_the_canvas_is_met_exactly_with_a_second_pass_at_most(engine, small, picture, size, passes, resized):
    source, _ = picture(40, 24)

    (one,) = rendered(engine.open(small), job_for(small, source, *size))

    assert one.pixels.shape == (size[1], size[0], 3)
    assert (one.facts["passes"], one.facts["resized"]) == (passes, resized)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "LA", "1"])
def test_pictures_of_other_kinds_are_taken_too(engine, small, picture, mode):
    source, _ = picture(16, 16, mode)

    (one,) = rendered(engine.open(small), job_for(small, source, 32, 32))

    assert one.pixels.shape == (32, 32, 3)


def test_copies_in_a_batch_are_made_once(engine, small, picture):
    job = job_for(small, picture(16, 16)[0], 32, 32)
    told = []

    found = engine.open(small).render([job, job, job], told.append)

    assert len(found) == 3
    assert told == [1]


def test_a_tile_that_does_not_fit_into_memory_is_made_smaller_and_the_record_says_so(engine, small, picture):
    source, pixels = picture(600, 40)
    session = engine.open(small)
    once, calls = session._network._once, []

    def short_of_memory(part, dtype):
        calls.append(part.shape)
        if len(calls) == 2:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")
        return once(part, dtype)

    session._network._once = short_of_memory
    (one,) = rendered(session, job_for(small, source, 1200, 80))

    assert [width for _, width, _ in calls] == [512, 152, 256, 256, 216]
    assert one.facts["tiles"] == 3
    assert one.facts["out_of_memory"] == "tiles of less than 512 pixels"
    assert np.abs(one.pixels.astype(int) - direct(small.path, pixels)).max() <= 1

    session._network._once = lambda *_: (_ for _ in ()).throw(RuntimeError("can't allocate memory"))
    with pytest.raises(OutOfMemory):
        rendered(session, job_for(small, source, 1200, 80))


def test_in_half_precision_it_says_so_and_full_precision_afterwards_is_what_it_was(engine, small, picture):
    source, _ = picture(40, 24)
    session = engine.open(small)
    job = job_for(small, source, 80, 48)
    half = replace(job, numerics=replace(job.numerics, precision="bf16"))

    before, low, after = (rendered(session, each)[0] for each in (job, half, job))

    assert low.facts["dtype"] == "bf16"
    assert not np.array_equal(low.pixels, before.pixels)
    assert np.array_equal(after.pixels, before.pixels)


def test_what_overflows_in_half_precision_is_made_in_fp32(engine, picture, tmp_path):
    state = weights()
    state["body.0.bias"] += 6e4  # fits into 16 bits; its multiples do not
    state["body.2.weight"] *= 10
    state["body.6.weight"] *= 1e-6
    save_file(state, tmp_path / "loud.safetensors")
    loud = model_at(tmp_path / "loud.safetensors")
    job = job_for(loud, picture(16, 16)[0], 32, 32)

    (one,) = rendered(engine.open(loud), replace(job, numerics=replace(job.numerics, precision="fp16")))

    assert one.facts["fp32_retry"] is True


def test_what_is_not_finite_is_no_picture(engine, picture, tmp_path):
    state = weights()
    state["body.6.bias"] += float("inf")
    save_file(state, tmp_path / "broken.safetensors")
    broken = model_at(tmp_path / "broken.safetensors")

    with pytest.raises(NotFinite, match="overflowed"):
        rendered(engine.open(broken), job_for(broken, picture(16, 16)[0], 32, 32))


def test_a_rehearsal_needs_no_picture_of_the_stage(engine, small, picture):
    source, _ = picture(16, 16)
    first = job_for(small, source, 32, 32)
    told = []

    engine.open(small).rehearse([job_for(small, Stage(job=first), 64, 64)], told.append)

    assert told == [1]
    with pytest.raises(EngineError, match="cannot be read as a picture"):
        rendered(engine.open(small), job_for(small, File(digest="3" * 64, path="gone.png"), 32, 32))


def _nothing(path):
    path.write_bytes(b"")


def _torn(path):
    save_file(weights(), path)
    path.write_bytes(path.read_bytes()[:-40])


def _unknown(path):
    save_file({"somebody.elses.weight": torch.zeros(3, 3)}, path)


def _greyscale(path):
    save_file(weights(channels=1), path)


@pytest.mark.parametrize(
    ("write", "words"),
    [(_nothing, "damaged"), (_torn, "damaged"), (_unknown, "no architecture"), (_greyscale, "1 channels in")],
)
def test_a_file_that_is_no_upscaler_is_refused_in_a_line(engine, tmp_path, write, words):
    path = tmp_path / "what.safetensors"
    write(path)

    with pytest.raises(ModelError, match=words) as caught:
        engine.open(model_at(path))

    assert "\n" not in str(caught.value)


def test_a_pickle_that_would_run_code_does_not(engine, tmp_path):
    class Bad:
        def __reduce__(self):
            return (open, (str(tmp_path / "mark"), "w"))

    path = tmp_path / "bad.pth"
    path.write_bytes(pickle.dumps({"params": Bad()}))

    with pytest.raises(ModelError, match="damaged, or no upscaler"):
        engine.open(model_at(path))

    assert not (tmp_path / "mark").exists()


def test_the_command_says_by_how_much_a_model_enlarges(tmp_path):
    save_file(weights(scale=3), tmp_path / "x3.safetensors")
    (tmp_path / "none.pth").write_bytes(b"nothing")

    def asked(name):
        words = [sys.executable, "-P", "-m", "batchgen.diffusion.upscaling", str(tmp_path / name)]
        return subprocess.run(words, capture_output=True, text=True, check=False)

    good, bad = asked("x3.safetensors"), asked("none.pth")

    assert json.loads(good.stdout.splitlines()[-1])["scale"] == 3
    assert bad.returncode == 2
    assert "damaged, or no upscaler" in bad.stderr.splitlines()[-1]


SHIPPED = next(shipped_model("").glob("upscale_models/*.safetensors"), None)


@pytest.mark.skipif(SHIPPED is None, reason="no upscaler came with this batchgen")
def test_the_shipped_upscaler_beats_bicubic_on_fresh_drawings(engine, tmp_path):
    from batchgen.demo.upscaler import draw, halved, psnr, scenes

    model = model_at(SHIPPED)
    session = engine.open(model)
    gains = []
    for scene in scenes("of this test", 4):
        large = draw(scene, 2)
        small = halved(large, "box")
        small.save(tmp_path / "small.png")
        job = job_for(model, File(digest="4" * 64, path=str(tmp_path / "small.png")), *large.size)
        ours = Image.fromarray(rendered(session, job)[0].pixels)
        gains.append(psnr(ours, large) - psnr(small.resize(large.size, Image.Resampling.BICUBIC), large))

    assert np.mean(gains) >= 2
