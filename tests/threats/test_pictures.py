"""Pictures of strangers: bombs, torn files, other formats, and what is no file at all."""

import io
import os
import struct
import zlib

import pytest
from PIL import Image

from batchgen.errors import StoreError
from batchgen.reproduce import Unreadable, originals
from batchgen.store import images, record
from batchgen.store.layout import RunDirectory
from batchgen.store.verify import verify

MIB = 2**20
RECORD = b"batchgen\0\0\0\0\0{}"


@pytest.fixture
def refused(tmp_path):
    """Return why a file is refused as a picture."""

    def why(data, look=images.open_picture):
        path = tmp_path / "a.png"
        path.write_bytes(data)
        with pytest.raises(StoreError) as caught:
            look(path)
        assert "\n" not in str(caught.value)
        return caught.value.message

    return why


def header(width, height, kind=2):
    return struct.pack(">IIBBBBB", width, height, 8, kind, 0, 0, 0)


@pytest.fixture
def png(chunk):
    """Put a PNG of 8 x 8 pixels together, with chunks before the pixels."""

    def made(*chunks, size=(8, 8)):
        rows = zlib.compress(b"\0" * (25 * 8))
        parts = [(b"IHDR", header(*size)), *chunks, (b"IDAT", rows), (b"IEND", b"")]
        return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)

    return made


BOMBS = {
    "a compressed iTXt that becomes 3 MiB": (b"iTXt", b"batchgen\0\1\0\0\0" + zlib.compress(b"a" * (3 * MIB))),
    "a zTXt that becomes 256 MiB": (b"zTXt", b"k\0\0" + zlib.compress(b"a" * (256 * MIB))),
    "a profile that becomes 256 MiB": (b"iCCP", b"k\0\0" + zlib.compress(b"a" * (256 * MIB))),
    "a plain text of 65 MiB": (b"tEXt", b"k\0" + b"a" * (65 * MIB)),
    "an animation": (b"acTL", struct.pack(">II", 1000, 0)),
}


@pytest.mark.parametrize("bomb", BOMBS.values(), ids=BOMBS)
def test_a_bomb_among_the_texts_of_a_picture_has_no_record(refused, png, bomb):
    assert refused(png(bomb), images.record_in)


def test_a_hundred_thousand_chunks_are_not_read_one_by_one(refused, png):
    assert "has more beside its pixels" in refused(png(*[(b"tEXt", b"")] * 100_001))


def test_a_chunk_that_claims_more_than_there_is_is_not_waited_for(refused, png):
    data = png((b"iTXt", RECORD))
    at = data.index(b"iTXt") - 4

    assert refused(data[:at] + b"\x7f\xff\xff\xff" + data[at + 4 :])


@pytest.mark.parametrize("size", [(60_000, 60_000), (2**31 - 1, 1), (1, 2**31 - 1), (16385, 16384), (0, 8)])
def test_a_picture_of_absurd_size_is_refused_by_its_header(refused, png, size):
    assert refused(png((b"iTXt", RECORD), size=size), images.record_in)


def test_a_picture_without_its_last_byte_is_torn(refused, small_png):
    assert "torn" in refused(small_png[:-1])


@pytest.mark.parametrize("kind", ["JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "ICO", "TGA"])
def test_no_other_format_is_opened_under_the_name_of_a_png(refused, kind):
    out = io.BytesIO()
    Image.new("RGB", (8, 8)).save(out, kind)

    assert "no PNG" in refused(out.getvalue())


@pytest.mark.parametrize(
    "data", [b"", b"<html><script>alert(1)</script></html>", b"%PDF-1.7", b"\x89PNG\r\n\x1a\n", b"\0" * 99]
)
def test_what_is_no_picture_is_refused_in_one_line(refused, data):
    assert refused(data)


@pytest.mark.parametrize("look", [images.open_picture, images.record_in, images.validate])
def test_a_pipe_in_place_of_a_picture_is_not_waited_for(tmp_path, look):
    os.mkfifo(tmp_path / "a.png")

    with pytest.raises(StoreError, match="is no file"):
        look(tmp_path / "a.png")


@pytest.fixture
def run_directory(tmp_path):
    directory = RunDirectory(tmp_path / "run")
    directory.create()
    return directory


def test_pipes_in_a_run_directory_are_findings_and_unreadable_pictures(run_directory):
    os.mkfifo(run_directory.pictures / "a.png")
    os.mkfifo(run_directory.plan)

    kinds = {each.file.name: each.kind for each in verify(run_directory).findings}
    (original,) = originals([run_directory.root])

    assert kinds["a.png"] == "unknown"
    assert kinds["plan.json"] == "altered"
    assert isinstance(original, Unreadable)


@pytest.mark.parametrize("text", ["[" * 100_000, "\0", "{", '{"a":' * 50_000], ids=["lists", "NUL", "cut", "mappings"])
def test_a_plan_that_is_damaged_or_nested_without_end_is_a_finding(run_directory, text):
    run_directory.plan.write_text(text)

    assert [each.kind for each in verify(run_directory).findings] == ["torn"]


def test_a_record_nested_without_end_is_refused_before_anything_walks_through_it():
    recipe = {"prompt": "x"}
    deep = '{"a":' * 500 + "1" + "}" * 500
    text = record.to_text({"schema": 1, "id": record._id_of(recipe), "recipe": recipe})

    assert record.read(text, "here")["recipe"] == recipe
    with pytest.raises(StoreError, match="inside one another"):
        record.read(f'{text[:-1]},"environment":{deep}}}', "here")


def test_a_record_larger_than_any_is_not_read(tmp_path):
    file = tmp_path / "a.json"
    with file.open("wb") as out:
        out.truncate(65 * MIB)

    (found,) = originals([file])

    assert isinstance(found, Unreadable)
    assert "too large" in found.reason
