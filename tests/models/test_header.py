import json
import struct
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from batchgen.errors import ModelError
from batchgen.models.header import read_header


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "w.safetensors"
    tensors = {"a": np.zeros((3, 5), np.float16), "empty": np.zeros((0, 4), np.float32), "b": np.arange(7)}
    save_file(tensors, path, metadata={"title": "tiny"})
    return path


def written(path: Path, fields: object, data: bytes = b"") -> Path:
    header = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    path.write_bytes(struct.pack("<Q", len(header)) + header + data)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_header(path)
    assert caught.value.where == str(path)
    assert "\n" not in str(caught.value)
    return caught.value.message


def test_names_shapes_and_types_are_read_without_the_data(weights: Path) -> None:
    header = read_header(weights)
    assert {name: (each.dtype, each.shape, each.nbytes) for name, each in header.tensors.items()} == {
        "a": ("F16", (3, 5), 30),
        "empty": ("F32", (0, 4), 0),
        "b": ("I64", (7,), 56),
    }
    assert header.metadata == {"title": "tiny"}


def test_a_file_cut_anywhere_is_refused(weights: Path) -> None:
    whole = weights.read_bytes()
    for length in range(len(whole)):
        weights.write_bytes(whole[:length])
        with pytest.raises(ModelError):
            read_header(weights)


def test_a_cut_file_says_how_much_is_missing(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes()[:-10])
    assert complaint(weights) == "is cut short: 10 of 86 bytes of data are missing"


def test_bytes_after_the_data_are_refused(weights: Path) -> None:
    weights.write_bytes(weights.read_bytes() + b"\0\0")
    assert "2 bytes too many" in complaint(weights)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 4\n", "git lfs pull"),
        (b"<!DOCTYPE html><html><body>Not found</body></html>", "web page"),
        (b"\n  <html><body>Not found</body></html>", "web page"),
        (b"PK\x03\x04 a torch checkpoint", "pickle"),
        (b"\x80\x02}q\x00X\x01\x00\x00\x00", "pickle"),
        (b"\xff" * 100, "no safetensors file"),
    ],
)
def test_what_lies_there_in_place_of_weights_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "w.safetensors"
    path.write_bytes(content)
    assert words in complaint(path)


@pytest.mark.parametrize(
    "fields",
    [
        b"{ no json }",
        b"{" + b"[" * 100_000,
        b'{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}',
        {"a": 1},
        {"a": {"dtype": "U8", "shape": [2]}},
        {"a": {"dtype": "U8", "shape": ["x"], "data_offsets": [0, 2]}},
        {"a": {"dtype": "U8", "shape": [3], "data_offsets": [0, 2]}},
        {"a": {"dtype": "U8", "shape": [1], "data_offsets": [1, 2]}},
        {
            "a": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
            "b": {"dtype": "U8", "shape": [2], "data_offsets": [0, 2]},
        },
    ],
    ids=["json", "deep", "twice", "number", "no offsets", "shape", "size", "gap", "overlap"],
)
def test_a_damaged_header_is_refused(tmp_path: Path, fields: object) -> None:
    assert "is damaged" in complaint(written(tmp_path / "w.safetensors", fields, b"\0\0"))


def test_a_type_newer_than_the_table_is_taken_at_its_word(tmp_path: Path) -> None:
    fields = {"a": {"dtype": "F3_E1M1", "shape": [2], "data_offsets": [0, 2]}}
    assert read_header(written(tmp_path / "w.safetensors", fields, b"\0\0")).tensors["a"].dtype == "F3_E1M1"


def test_a_download_that_aria2_has_not_finished_is_refused(weights: Path) -> None:
    weights.with_name("w.safetensors.aria2").write_bytes(b"")
    assert "still being downloaded" in complaint(weights)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    assert "No such file" in complaint(tmp_path / "none.safetensors")
