import json
from collections.abc import Callable
from pathlib import Path

import pytest

from batchgen.models.vocabulary import find_vocabulary, places, read_sentencepiece


@pytest.fixture
def folder(tmp_path: Path, make_vocabularies: Callable[[Path], None]) -> Path:
    make_vocabularies(tmp_path)
    return tmp_path


def clip(*where: Path) -> object:
    return find_vocabulary("clip", 516, where)


def test_the_same_words_written_otherwise_are_the_same(folder: Path, tmp_path: Path) -> None:
    first = clip(folder / "tokenizer")
    words = json.loads((folder / "tokenizer/vocab.json").read_text())
    other = tmp_path / "other"
    other.mkdir()
    (other / "vocab.json").write_text(json.dumps(dict(reversed(words.items())), indent=4))
    (other / "merges.txt").write_text("#version: 0.2 of another tool\n" + "a b\nab c</w>\n")
    assert clip(other) == first
    (other / "vocab.json").unlink()
    model = {"vocab": words, "merges": [["a", "b"], ["ab", "c</w>"]]}
    (other / "tokenizer.json").write_text(json.dumps({"model": model}))
    assert clip(other) == first


def test_what_short_prompts_are_filled_with_is_said_by_its_number(folder: Path) -> None:
    def pad(number: int | None) -> str:
        found = find_vocabulary("clip", 516, [folder / "tokenizer"], pad=number)
        assert found
        return str(json.loads(found["tokenizer_config.json"])["pad_token"])

    assert (pad(None), pad(515), pad(0)) == ("<|endoftext|>", "<|endoftext|>", chr(256))


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("vocab.json", "{"),
        ("vocab.json", "[1]"),
        ("vocab.json", '{"a": 0}'),
        ("merges.txt", "#version: 0.2\na b\n"),
    ],
)
def test_a_vocabulary_that_is_damaged_or_of_another_model_is_passed_over(folder: Path, file: str, content: str) -> None:
    (folder / "tokenizer" / file).write_text(content)
    assert clip(folder / "tokenizer") is None
    assert clip(folder / "none", folder / "tokenizer") is None


def test_t5s_own_marks_do_not_count(folder: Path) -> None:
    first = find_vocabulary("t5", 128, [folder / "tokenizer_2"])
    content = json.loads((folder / "tokenizer_2/tokenizer.json").read_text())
    content["model"]["vocab"].append(["<extra_id_0>", 0.0])
    (folder / "tokenizer_2/tokenizer.json").write_text(json.dumps(content))
    assert find_vocabulary("t5", 128, [folder / "tokenizer_2"]) == first
    assert find_vocabulary("t5", 3, [folder / "tokenizer_2"]) is None
    assert find_vocabulary("t5", 1000, [folder / "tokenizer_2"]) is None


def test_the_map_of_characters_of_a_sentencepiece_model_is_kept() -> None:
    piece = b"\x0a\x09\x0a\x02hi\x15\x00\x00\xc0\xbf"
    assert read_sentencepiece(piece + b"\x18\x01" + b"\x1a\x05\x12\x03abc") == ([("hi", -1.5)], "YWJj")
    with pytest.raises((ValueError, IndexError)):
        read_sentencepiece(piece[:-1])


def test_nearer_places_come_first(tmp_path: Path) -> None:
    models = tmp_path / "ComfyUI/models"
    found = list(places(models / "checkpoints", [models], tmp_path / "hub"))
    order = [models / "checkpoints/tokenizer", models / "tokenizer", tmp_path / "ComfyUI/comfy/sd1_tokenizer"]
    assert [place for place in found if place in order] == order
