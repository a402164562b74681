import struct
import zlib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from batchgen.interop.imported import Unreadable
from batchgen.interop.pictures import MAX_TEXT, texts_in


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("international", [False, True])
def test_every_kind_of_png_text_is_read(png, compressed, international):
    path = png(compressed=compressed, international=international, parameters="a cat\nSteps: 1", workflow="{}")

    assert texts_in(path) == {"parameters": "a cat\nSteps: 1", "workflow": "{}"}


def test_letters_beyond_latin_are_read(png):
    assert texts_in(png(parameters="日本語, ☕"))["parameters"] == "日本語, ☕"


@pytest.mark.parametrize("name", ["picture.jpg", "picture.webp"])
@pytest.mark.parametrize("encoding", ["utf-16-be", "utf-16-le"])
def test_an_exif_comment_is_read_in_either_byte_order(with_comment, name, encoding):
    path = with_comment(name, "猫, a cat\nSteps: 20, Sampler: Euler, Seed: 1", encoding=encoding)

    assert texts_in(path)["parameters"] == "猫, a cat\nSteps: 20, Sampler: Euler, Seed: 1"


def test_an_exif_comment_without_unicode_is_read(with_comment):
    path = with_comment("picture.jpg", "a cat", encoding="ascii", code=b"ASCII\0\0\0")

    assert texts_in(path)["parameters"] == "a cat"


def test_what_comfyui_writes_into_webp_is_read(tmp_path):
    image = Image.new("RGB", (8, 8))
    exif = image.getexif()
    exif[0x0110] = 'prompt:{"1": {}}'
    exif[0x010F] = 'workflow:{"nodes": []}'
    image.save(tmp_path / "a.webp", exif=exif)

    assert texts_in(tmp_path / "a.webp") == {"prompt": '{"1": {}}', "workflow": '{"nodes": []}'}


def test_a_text_that_would_fill_the_memory_is_passed_over(tmp_path, png):
    whole = png(parameters="a cat").read_bytes()
    content = b"workflow\0\0" + zlib.compress(b"x" * (MAX_TEXT + 1))
    chunk = struct.pack(">I4s", len(content), b"zTXt") + content + struct.pack(">I", 0)
    (tmp_path / "bomb.png").write_bytes(whole[:33] + chunk + whole[33:])

    assert texts_in(tmp_path / "bomb.png") == {"parameters": "a cat"}


def test_a_length_beyond_the_end_of_the_file_ends_the_reading(tmp_path, png):
    whole = png(parameters="a cat").read_bytes()
    (tmp_path / "torn.png").write_bytes(whole[:33] + struct.pack(">I4s", 2**31, b"IDAT"))

    assert texts_in(tmp_path / "torn.png") == {}


def test_what_is_no_picture_is_refused(tmp_path):
    (tmp_path / "a.png").write_text("no picture")

    with pytest.raises(Unreadable, match="is no PNG, JPEG or WebP"):
        texts_in(tmp_path / "a.png")


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(Unreadable, match="No such file"):
        texts_in(tmp_path / "a.png")


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), kind=st.sampled_from(["png", "jpg", "webp"]))
def test_a_damaged_picture_never_breaks_the_reader(tmp_path, with_comment, png, data, kind):
    path = png(parameters="a cat") if kind == "png" else with_comment(f"a.{kind}", "a cat")
    whole = bytearray(path.read_bytes())
    for place in data.draw(st.lists(st.integers(13, len(whole) - 1), max_size=8)):
        whole[place] = data.draw(st.integers(0, 255))
    path.write_bytes(whole[: data.draw(st.integers(12, len(whole)))])

    assert isinstance(dict(texts_in(path)), dict)
