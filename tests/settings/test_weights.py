"""Weights by exact name and by hash, in real files of a few bytes."""

import hashlib
import json

import pytest

from batchgen.models.digest import DigestCache
from batchgen.models.shelf import Shelf
from batchgen.settings.weights import Weights


def safetensors(data=b"", **metadata):
    header = json.dumps({"__metadata__": metadata}).encode() if metadata else b"{}  "
    return len(header).to_bytes(8, "little") + header + data


@pytest.fixture
def put(tmp_path):
    """Put a file into the models folder."""

    def put(name, data=b""):
        path = tmp_path / "models" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(safetensors(name.encode()) if data == b"" else data)
        return path

    return put


@pytest.fixture
def digests(tmp_path):
    return DigestCache(tmp_path / "digests.json")


@pytest.fixture
def weights(tmp_path, digests):
    """Return what is here; the digest of each model is its name, and known where it begins with `known`."""

    def digest_of(name, known):
        digest = hashlib.sha256(name.encode()).hexdigest()
        return digest if not known or name.startswith("known") else None

    def weights(*options, hashing=False):
        return Weights(options, Shelf([tmp_path / "models"]), digests, digest_of, hashing=hashing)

    return weights


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_an_option_comes_before_a_path_and_a_path_before_a_stem(weights, put):
    put("checkpoints/base.safetensors")
    put("checkpoints/xl/other.safetensors")

    assert weights("base").by_name("checkpoint", "base") == "base"
    assert weights("base").by_name("checkpoint", "base.safetensors") == "base.safetensors"
    assert weights().by_name("checkpoint", "xl/other.safetensors") == "other"
    assert weights().by_name("checkpoint", "other") == "other"


@pytest.mark.parametrize("name", ["Base", "bas", "base_v2", "xl/base.safetensors", "base."])
def test_what_is_only_alike_is_not_the_same(weights, put, name):
    put("checkpoints/base.safetensors")

    assert weights().by_name("checkpoint", name) is None


def test_one_of_two_of_the_same_stem_is_not_guessed(weights, put):
    both = [put("loras/a/grain.safetensors"), put("loras/b/grain.safetensors")]

    assert weights().by_name("lora", "grain") is None
    assert weights().several("lora", "grain") == tuple(map(str, both))
    assert weights().by_name("lora", "b/grain.safetensors") == "b/grain.safetensors"


@pytest.mark.parametrize("digits", [10, 12, 64])
def test_a_file_of_the_same_name_is_hashed_and_no_other(weights, put, digests, digits):
    grain, ink = put("loras/grain.safetensors"), put("loras/ink.safetensors")

    assert weights().by_hash("lora", sha256(grain)[:digits], "grain") == "grain"
    assert weights().by_hash("lora", sha256(ink)[:digits], "other") is None
    assert digests.known(ink) is None
    assert weights(hashing=True).by_hash("lora", sha256(ink)[:digits], "other") == "ink"


def test_a_hash_that_is_known_already_finds_a_renamed_file(weights, put, digests):
    digest = digests.sha256(put("vae/renamed.safetensors"))

    assert weights().by_hash("vae", digest[:10].upper(), "ft-mse") == "renamed"


def test_a1111_s_old_hash_is_of_64_kib_at_the_second_mib(weights, put):
    data = safetensors(bytes(range(256)) * 5000)
    put("checkpoints/renamed.safetensors", data)
    old = hashlib.sha256(data[2**20 : 2**20 + 2**16]).hexdigest()[:8]

    assert weights().by_hash("checkpoint", old, "") == "renamed"
    put("checkpoints/second.safetensors", data + b"more")
    assert weights().by_hash("checkpoint", old, "") is None
    assert weights().by_hash("checkpoint", old, "second") == "second"


def test_a1111_s_hash_of_adapters_is_of_what_follows_the_header(weights, put):
    put("loras/grain.safetensors", safetensors(b"data", title="x"))
    noted = hashlib.sha256(b"trained").hexdigest()
    put("loras/ink.safetensors", safetensors(sshs_model_hash=noted))

    assert weights().by_hash("lora", hashlib.sha256(b"data").hexdigest()[:12], "grain") == "grain"
    assert weights().by_hash("lora", noted[:12], "") == "ink"


def test_a_digest_of_ours_names_an_option_that_is_known_or_called_so(weights):
    def digest(name):
        return hashlib.sha256(name.encode()).hexdigest()

    found = weights("known-one", "other")

    assert found.by_hash("checkpoint", digest("known-one"), "was") == "known-one"
    assert found.by_hash("checkpoint", digest("other"), "was") is None
    assert found.by_hash("checkpoint", digest("other"), "other") == "other"


@pytest.mark.parametrize("text", ["", "abc", "z" * 10, "0" * 63])
def test_what_is_no_hash_finds_nothing(weights, put, text):
    put("checkpoints/base.safetensors")

    assert weights().by_hash("checkpoint", text, "base") is None
