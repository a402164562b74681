import hashlib
import json
import os
from pathlib import Path

import pytest

from batchgen.errors import ModelError
from batchgen.models.digest import DigestCache, model_digest

Seen = list[tuple[Path, int, int]]


def counting(seen: Seen) -> object:
    return lambda path, done, total: seen.append((path, done, total))


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "weights"
    path.write_bytes(b"w" * 9_000_000)
    return path


def test_a_model_is_the_hash_of_its_files_names_and_hashes(tmp_path: Path) -> None:
    files = {}
    for name, content in (("b/config.json", b"{}"), ("a", b"weights")):
        files[name] = tmp_path / hashlib.md5(name.encode()).hexdigest()
        files[name].write_bytes(content)
    lines = f"a {hashlib.sha256(b'weights').hexdigest()}\nb/config.json {hashlib.sha256(b'{}').hexdigest()}\n"
    assert model_digest(files, DigestCache(tmp_path / "cache.json")) == hashlib.sha256(lines.encode()).hexdigest()


def test_a_file_is_hashed_once_also_across_runs(tmp_path: Path, file: Path) -> None:
    seen: Seen = []
    for _ in range(3):
        cache = DigestCache(tmp_path / "deep" / "cache.json")
        digest = model_digest({"w": file}, cache, counting(seen))
    assert seen == [(file, 4194304, 9_000_000), (file, 8388608, 9_000_000), (file, 9_000_000, 9_000_000)]
    assert digest == model_digest({"w": file}, DigestCache(tmp_path / "other.json"))
    assert [each.name for each in (tmp_path / "deep").iterdir()] == ["cache.json"]


def test_a_changed_file_is_hashed_again_though_its_size_and_mtime_are_put_back(tmp_path: Path, file: Path) -> None:
    cache, before = DigestCache(tmp_path / "cache.json"), file.stat()
    first = cache.sha256(file)
    content = bytearray(file.read_bytes())
    content[5_000_000] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert cache.sha256(file) == hashlib.sha256(content).hexdigest() != first


@pytest.mark.parametrize("damage", ["", "{", "[1]", '{"1:2": 3}', '{"1:2": "x"}', "\udcff", "[" * 100_000])
def test_a_damaged_cache_counts_as_empty(tmp_path: Path, file: Path, damage: str) -> None:
    path = tmp_path / "cache.json"
    path.write_bytes(damage.encode(errors="surrogateescape"))
    cache = DigestCache(path)
    assert model_digest({"w": file}, cache) == model_digest({"w": file}, DigestCache(tmp_path / "fresh.json"))
    assert len(json.loads(path.read_text())) == 1


def test_a_cache_that_cannot_be_written_does_no_harm(tmp_path: Path, file: Path) -> None:
    (tmp_path / "a file").write_text("")
    cache = DigestCache(tmp_path / "a file" / "cache.json")
    assert len(model_digest({"w": file}, cache)) == 64


def test_two_runs_that_hash_at_once_keep_each_others_work(tmp_path: Path, file: Path) -> None:
    other = tmp_path / "other"
    other.write_bytes(b"o")
    one, two = DigestCache(tmp_path / "cache.json"), DigestCache(tmp_path / "cache.json")
    one.sha256(file)
    two.sha256(other)
    one.save()
    two.save()
    seen: Seen = []
    model_digest({"w": file, "o": other}, DigestCache(tmp_path / "cache.json"), counting(seen))
    assert seen == []


def test_what_was_hashed_before_an_interruption_is_kept(tmp_path: Path, file: Path) -> None:
    second = tmp_path / "second"
    second.write_bytes(b"s")

    def interrupted(path: Path, done: int, total: int) -> None:
        if path == second:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        model_digest({"a": file, "b": second}, DigestCache(tmp_path / "cache.json"), interrupted)
    seen: Seen = []
    DigestCache(tmp_path / "cache.json").sha256(file, counting(seen))
    assert seen == []


def test_a_file_that_grows_while_it_is_hashed_is_refused(tmp_path: Path, file: Path) -> None:
    def growing(path: Path, done: int, total: int) -> None:
        if done == total:
            with path.open("ab") as stream:
                stream.write(b"more")

    with pytest.raises(ModelError, match="changed while it was read"):
        DigestCache(tmp_path / "cache.json").sha256(file, growing)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="none: cannot be read: No such file"):
        DigestCache(tmp_path / "cache.json").sha256(tmp_path / "none")
