"""The upscaler that ships, and how it is trained."""

from importlib.util import find_spec

import pytest
import torch
from PIL import Image
from safetensors import safe_open

from batchgen.demo.drawings import draw
from batchgen.demo.upscaler import (
    FILTERS,
    UPSCALER,
    halved,
    load_upscaler,
    new_upscaler,
    pairs,
    psnr,
    scenes,
    train,
    upscaled,
)
from batchgen.diffusion.spandrel_import import import_spandrel

LIMIT = 1_000_000
"""Bytes."""


@pytest.fixture(scope="module")
def upscaler():
    torch.set_num_threads(1)
    return load_upscaler()


def test_it_is_small_and_of_half_precision():
    with safe_open(UPSCALER, framework="pt") as file:
        kinds = {file.get_slice(name).get_dtype() for name in file.keys()}  # noqa: SIM118 - not a mapping

    assert UPSCALER.stat().st_size < LIMIT
    assert kinds == {"F16"}


@pytest.mark.parametrize("name", FILTERS)
def test_it_beats_bicubic_by_2_decibel_on_fresh_drawings(name, upscaler):
    drawings = [draw(scene, 2) for scene in scenes("test", 20)]
    halves = [halved(drawing, name) for drawing in drawings]

    def mean(enlarge):
        return sum(psnr(enlarge(h), d) for h, d in zip(halves, drawings, strict=True)) / len(drawings)

    bicubic = mean(lambda half: half.resize((128, 128), Image.Resampling.BICUBIC))
    assert mean(lambda half: upscaled(upscaler, half)) >= bicubic + 2


@pytest.mark.skipif(find_spec("spandrel") is None, reason="the extra `upscale` is not installed")
def test_spandrel_knows_it_and_gives_the_same_pixels(upscaler):
    loaded = import_spandrel().ModelLoader(device="cpu").load_from_file(UPSCALER)
    drawing = draw(next(scenes("spandrel", 1)))

    assert (loaded.architecture.id, loaded.scale, loaded.input_channels) == ("Compact", 2, 3)
    theirs = upscaled(loaded.model, drawing)
    assert theirs.size == (128, 128)
    assert theirs.tobytes() == upscaled(upscaler, drawing).tobytes()


def test_it_takes_pictures_of_any_size(upscaler):
    assert upscaled(upscaler, Image.new("RGB", (37, 5), (220, 40, 40))).size == (74, 10)


def test_an_untrained_one_enlarges_each_pixel_and_adds_to_it():
    model = new_upscaler()
    with torch.no_grad():
        model.body[-1].weight.zero_()
        model.body[-1].bias.zero_()
    picture = draw(next(scenes("untrained", 1)))

    assert upscaled(model, picture).tobytes() == picture.resize((128, 128), Image.Resampling.NEAREST).tobytes()


def test_equal_seeds_train_on_equal_pairs():
    first, again, other = (
        [(large.tobytes(), small.tobytes()) for large, small in pairs(seed, 6)] for seed in ("a", "a", "b")
    )

    assert first == again != other


def folder(path):
    path.mkdir()
    return path


def test_training_can_be_repeated(tmp_path):
    one, two = (train(folder(tmp_path / name), steps=2, pictures=4).state_dict() for name in "ab")

    assert all(torch.equal(one[name], two[name]) for name in one)


def test_psnr_is_what_it_says():
    black, grey = Image.new("RGB", (4, 4)), Image.new("RGB", (4, 4), (51, 51, 51))

    assert psnr(black, grey) == pytest.approx(20 * 0.69897, abs=1e-3)
    assert psnr(black, black) == 60
