"""Weights that are damaged, not what they say, or pickles."""

import json
import os
import pickle
import shutil
import struct

import numpy as np
import pytest
from safetensors.numpy import save

from batchgen.errors import ModelError
from batchgen.models.digest import DigestCache, model_digest
from batchgen.models.find import Source, find
from batchgen.models.folder import component_weights
from batchgen.models.header import read_header
from batchgen.models.option import read_option
from batchgen.models.resolve import resolve
from batchgen.shipped import shipped_model

WHOLE = save({"a": np.arange(64, dtype=np.float32), "b": np.ones((4, 4), np.float16)}, metadata={"title": "tiny"})


def with_header(fields, data=b"\1" * 8):
    text = fields if isinstance(fields, bytes) else json.dumps(fields).encode()
    return struct.pack("<Q", len(text)) + text + data


def one(**changes):
    return with_header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} | changes})


DAMAGES = {
    "empty": b"",
    "4 bytes": WHOLE[:4],
    "cut in its header": WHOLE[:30],
    "half": WHOLE[: len(WHOLE) // 2],
    "without its last byte": WHOLE[:-1],
    "with bytes behind its end": WHOLE + b"\0",
    "a header of 2^63 bytes": struct.pack("<Q", 2**63) + WHOLE[8:],
    "a header that is no JSON": with_header(b"{'a': 1}"),
    "a header that is no UTF-8": with_header(b'{"\xff": 1}'),
    "a header nested without end": with_header(b'{"a":' * 100_000),
    "another type": one(dtype="F64"),
    "a type that is a number": one(dtype=3),
    "another shape": one(shape=[3]),
    "a shape below zero": one(shape=[-1, -2]),
    "a shape of texts": one(shape=["2"]),
    "offsets beyond the end": one(data_offsets=[0, 800], shape=[200]),
    "offsets of texts": with_header(
        {"a": {"dtype": "U8", "shape": [4], "data_offsets": ["0", 4]}}
        | {"b": {"dtype": "U8", "shape": [4], "data_offsets": [4, 8]}}
    ),
    "offsets without end": with_header(b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,Infinity]}}'),
    "data that overlap": with_header({n: {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]} for n in "ab"}),
    "notes that are no texts": with_header({"__metadata__": {"x": 3}}, b""),
    "a web page": b"<!DOCTYPE html><html>404</html>",
    "a Git LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n",
    "a name that is there twice": with_header(
        b'{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}'
    ),
}


@pytest.mark.parametrize("data", DAMAGES.values(), ids=DAMAGES)
def test_damaged_weights_are_refused_by_name_before_they_are_loaded(tmp_path, data):
    path = tmp_path / "w.safetensors"
    path.write_bytes(data)

    with pytest.raises(ModelError, match=r"w\.safetensors: [^\n]{5,300}$"):
        read_header(path)


@pytest.mark.parametrize("silent", ["a flipped bit", "a zeroed tail"])
def test_damage_that_no_header_shows_makes_another_digest(tmp_path, silent):
    path = tmp_path / "w.safetensors"
    path.write_bytes(WHOLE)
    before = model_digest({"w": path}, DigestCache(tmp_path / "cache"))
    tail = bytes([WHOLE[-1] ^ 1]) if silent == "a flipped bit" else b"\0" * 40
    path.write_bytes(WHOLE[: -len(tail)] + tail)

    read_header(path)

    assert model_digest({"w": path}, DigestCache(tmp_path / "cache")) != before


class Evil:
    def __reduce__(self):
        return os.mkdir, ("ran",)


def test_a_pickle_renamed_to_safetensors_is_refused_with_the_way_to_convert_it_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number, data in enumerate((pickle.dumps(Evil()), b"PK\x03\x04 a torch checkpoint")):
        path = tmp_path / f"{number}.safetensors"
        path.write_bytes(data)

        with pytest.raises(ModelError, match=r"is a pickle.*convert it once: torch\.load\(FILE, weights_only=True\)"):
            read_header(path)

    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("ending", [".ckpt", ".pt", ".pth", ".bin"])
def test_a_pickle_is_refused_by_name_with_the_way_to_convert_it(tmp_path, ending):
    (tmp_path / f"m{ending}").write_bytes(pickle.dumps(Evil()))
    (tmp_path / "unet").mkdir()
    (tmp_path / "unet" / f"diffusion_pytorch_model{ending}").write_bytes(pickle.dumps(Evil()))

    with pytest.raises(ModelError, match=rf"m\{ending} is a pickle.*convert it once"):
        find(Source(file=(f"m{ending}",)), [tmp_path], name="m")
    with pytest.raises(ModelError, match=r"only as a pickle.*convert it once"):
        component_weights(tmp_path / "unet")


def test_a_pipe_in_place_of_weights_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "w.safetensors")

    with pytest.raises(ModelError, match="is no file"):
        read_header(tmp_path / "w.safetensors")


@pytest.mark.parametrize(
    "source", [Source(folder="~nobody_here/x"), Source(folder="x" * 300), Source(file=("~nobody_here/x",))]
)
def test_a_place_that_cannot_be_looked_at_is_an_error_in_words(tmp_path, source):
    with pytest.raises(ModelError, match=r"model 'm' (cannot be looked for|is not on this machine): [^\n]+$"):
        find(source, [tmp_path], name="m")


def test_an_index_of_weights_with_a_name_that_no_file_can_have_is_an_error_in_words(tmp_path):
    index = tmp_path / "unet" / "diffusion_pytorch_model.safetensors.index.json"
    index.parent.mkdir()
    index.write_text(json.dumps({"weight_map": {"a": f"{'x' * 300}.safetensors"}}))

    with pytest.raises(ModelError, match="too long"):
        component_weights(index.parent)


@pytest.mark.parametrize("name", ["EvilPipeline", "../evil.py", ["evil", "Pipeline"], None, 7])
def test_a_pipeline_of_ones_own_is_refused_by_its_name(tmp_path, name):
    folder = tmp_path / "m"
    shutil.copytree(shipped_model("demo_shapes"), folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps(index | {"_class_name": name}))
    conf = read_option("m", {"family": "sd15", "source": {"folder": str(folder)}}, "m.yaml")

    with pytest.raises(ModelError, match=r"m\.yaml: model 'm' is .*, not "):
        resolve(conf, [], DigestCache(tmp_path / "cache"))


def test_code_beside_a_model_and_components_of_ones_own_are_neither_loaded_nor_hashed(tmp_path):
    folder = tmp_path / "m"
    shutil.copytree(shipped_model("demo_shapes"), folder)
    conf = read_option("m", {"family": "sd15", "source": {"folder": str(folder)}}, "m.yaml")
    before = resolve(conf, [], DigestCache(tmp_path / "cache"))
    (folder / "pipeline.py").write_text("import os; os.mkdir('ran')")
    (folder / "unet" / "evil.py").write_text("import os; os.mkdir('ran')")
    (folder / "evil").mkdir()

    assert resolve(conf, [], DigestCache(tmp_path / "cache")) == before
