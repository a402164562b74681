import json

import numpy as np
import pytest
from PIL import Image

from batchgen.errors import StoreError
from batchgen.fake import picture_of
from batchgen.store import images

PROMPTS = [
    "a heron",
    "日本語 🐦 \u202eright to left",
    'commas, "quotes", ${oc.env:HOME} {a|b} = ??? <b>',
    "two\nlines\r\nand\ttabs",
    "zero\0byte and \x07 bell",
    "Negative prompt: no\nSteps: 1, Sampler: x, Size: 1x1",
    "é" * 2000,
    "x" * 1_000_000,
    "語" * 1_000_000,
    "\0" * 300_000,
    "",
]


@pytest.mark.parametrize("prompt", PROMPTS, ids=lambda prompt: repr(prompt[:12]) + str(len(prompt)))
def test_a_picture_keeps_its_pixels_and_any_prompt(tmp_path, build_, prompt):
    job = build_.job(prompt=prompt)
    path = tmp_path / "a.png"
    path.write_bytes(build_.png(job))

    record, text = images.validate(path)

    assert record["recipe"]["prompt"] == prompt
    assert text == build_.text(job)
    assert np.array_equal(images.open_picture(path).pixels, picture_of(job))
    assert images.record_in(path) == record


def test_every_reader_finds_the_parameters(tmp_path, build_):
    path = tmp_path / "a.png"
    path.write_bytes(build_.png(build_.job(prompt="a heron, 日本語")))

    with Image.open(path) as image:
        assert image.info["parameters"].startswith("a heron, 日本語\nSteps: 3, Sampler: Euler,")


def test_texts_stand_before_the_pixels(tmp_path, build_):
    data = build_.png(build_.job())
    path = tmp_path / "a.png"
    path.write_bytes(data[: data.index(b"IDAT") + 8])

    assert images.record_in(path)["id"] == build_.job().id
    with pytest.raises(StoreError):
        images.validate(path)


def test_a_file_cut_anywhere_is_no_picture(tmp_path, build_):
    data = build_.png(build_.job())
    path = tmp_path / "a.png"

    for length in [*range(0, len(data) - 40, 37), *range(len(data) - 40, len(data))]:
        path.write_bytes(data[:length])
        with pytest.raises(StoreError):
            images.validate(path)


def test_other_pixels_under_the_same_record_are_noticed(tmp_path, build_):
    job, other = build_.job(1), picture_of(build_.job(2))
    path = tmp_path / "a.png"
    path.write_bytes(images.encode(other, build_.text(job), "", 1))

    with pytest.raises(StoreError, match="not those that its record is of"):
        images.validate(path)


@pytest.mark.parametrize("mode", ["L", "RGBA", "P", "I;16"])
def test_a_picture_of_another_kind_is_refused(tmp_path, mode):
    Image.new(mode, (8, 8)).save(tmp_path / "a.png")

    with pytest.raises(StoreError, match="no RGB picture"):
        images.open_picture(tmp_path / "a.png")


def test_only_png_is_opened(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png", "JPEG")

    with pytest.raises(StoreError, match="no PNG"):
        images.open_picture(tmp_path / "a.png")
    with pytest.raises(StoreError, match="No such file"):
        images.open_picture(tmp_path / "none.png")


def test_a_picture_without_a_record_says_so(tmp_path):
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")

    with pytest.raises(StoreError, match="no record of batchgen"):
        images.record_in(tmp_path / "a.png")


def test_a_picture_of_absurd_size_is_refused_before_it_is_decoded(tmp_path, build_):
    data = bytearray(build_.png(build_.job()))
    data[16:20] = (60_000).to_bytes(4, "big")
    data[20:24] = (60_000).to_bytes(4, "big")
    (tmp_path / "a.png").write_bytes(data)

    with pytest.raises(StoreError):
        images.record_in(tmp_path / "a.png")


def test_one_colour_is_flagged_and_one_other_pixel_is_enough():
    flat = np.full((16, 16, 3), 7, dtype=np.uint8)
    assert images.look(flat)["single_colour"] is True

    flat[15, 15, 2] = 8

    seen = images.look(flat)
    assert seen["single_colour"] is False
    assert (seen["min"], seen["max"], seen["width"], seen["height"]) == (7, 8, 16, 16)
    json.dumps(seen)


def test_the_hash_of_pixels_is_pinned():
    """If this fails, no record in the world agrees with its picture any longer."""
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)

    assert images.pixel_sha256(pixels) == "1cc4122dfdd309d707d69b08a089dc3c2cd996943ff0e7b446082334851c1e49"
    assert images.pixel_sha256(pixels) != images.pixel_sha256(pixels.reshape(4, 2, 3))


@pytest.mark.parametrize("level", range(10))
def test_every_level_of_compression_is_lossless(tmp_path, build_, level):
    pixels = picture_of(build_.job())
    (tmp_path / "a.png").write_bytes(images.encode(pixels, "{}", "", level))

    assert np.array_equal(images.open_picture(tmp_path / "a.png").pixels, pixels)
