"""Manifests and prompt files of a stranger, or of a tired person."""

import json
from itertools import pairwise

import pytest

from batchgen.errors import ManifestError
from batchgen.manifest import read_manifest
from batchgen.manifest.reading import MAX_VALUES, parse_json, parse_yaml
from batchgen.plan import prompts, sweep
from batchgen.plan.dimensions import read_dimensions
from batchgen.plan.names import slug
from batchgen.plan.prompts import read_prompts
from batchgen.plan.templates import phrases

BOMB = "a: &a [x,x,x,x,x,x,x,x,x]\n" + "".join(f"{b}: &{b} [{f'*{a},' * 9}]\n" for a, b in pairwise("abcdefgh"))


def read_file(tmp_path, name, data):
    """Read a prompt file through a manifest that names it on line 1."""
    (tmp_path / name).write_bytes(data if isinstance(data, bytes) else data.encode())
    (tmp_path / "m.yaml").write_text(f"prompts: [{{file: {name}}}]")
    return read_prompts(read_manifest(tmp_path / "m.yaml"), limit=1000)


def test_an_alias_bomb_in_a_manifest_is_refused_at_its_first_anchor():
    with pytest.raises(ManifestError, match=r"m\.yaml:1: an anchor"):
        parse_yaml(BOMB, "m.yaml")


@pytest.mark.parametrize("parse", [parse_yaml, parse_json])
def test_a_file_of_millions_of_values_is_refused_before_they_fill_the_memory(parse, monkeypatch):
    monkeypatch.setattr("batchgen.manifest.reading.MAX_VALUES", 1000)

    assert MAX_VALUES == 2_000_000
    with pytest.raises(ManifestError, match="values; split the file"):
        parse(f"[{'1,' * 2000}1]", "m")


def test_a_file_of_millions_of_prompts_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(prompts, "MAX_PROMPTS", 10)

    assert len(read_file(tmp_path, "p.txt", "a\n" * 10)) == 10
    with pytest.raises(ManifestError, match="more than 10 prompts"):
        read_file(tmp_path, "p.txt", "a\n" * 11)


WRONG_ROWS = {
    "NUL": ("p.csv", "prompt\na\nb\0\n", 3),
    "bad UTF-8": ("p.csv", b"prompt\na\nb\xff\n", 3),
    "UTF-16": ("p.txt", "a red circle".encode("utf-16"), 1),
    "a surrogate as UTF-8": ("p.jsonl", b'"a"\n"\xed\xa0\x80"\n', 2),
    "an unclosed quote": ("p.csv", 'prompt\n"a\nb\n', 2),
    "a cell of 200,000 characters": ("p.csv", f"prompt\n{'a' * 200_000}\n", 2),
    "NaN": ("p.jsonl", '"a"\n{"prompt": "b", "guidance_scale": NaN}\n', 2),
    "Infinity": ("p.jsonl", '{"prompt": "b", "guidance_scale": -Infinity}\n', 1),
    "an integer of 5,000 digits": ("p.jsonl", f'{{"prompt": "b", "seed": {"1" * 5000}}}\n', 1),
    "a duplicate key": ("p.jsonl", '{"prompt": "b", "seed": 1, "seed": 2}\n', 1),
}


@pytest.mark.parametrize(("name", "data", "line"), WRONG_ROWS.values(), ids=WRONG_ROWS)
def test_what_is_no_text_or_number_in_a_prompt_file_names_file_and_line(tmp_path, name, data, line):
    with pytest.raises(ManifestError, match=rf"{name}:{line}: [^\n]*$"):
        read_file(tmp_path, name, data)


@pytest.mark.parametrize("seed", ["true", "1000.0", "-1", "18446744073709551616", '"7"', "null2", "1e3"])
def test_a_seed_that_is_none_names_file_and_line(person, seed):
    person.writes("p.jsonl", f'"a"\n{{"prompt": "b", "seed": {seed}}}\n')
    person.writes("m.yaml", "set: {model: demo_shapes}\nprompts: [{file: p.jsonl}]\n")

    said = person.types("plan", "m.yaml")

    assert said.returncode == 2
    assert "p.jsonl:2: " in said.stderr
    assert said.stderr.count("\n") == 1


@pytest.mark.parametrize("name", ["p.txt", "p.csv", "p.jsonl"])
def test_a_byte_order_mark_is_no_part_of_the_first_prompt(tmp_path, name):
    start = {"p.txt": "", "p.csv": "prompt\n", "p.jsonl": ""}[name]
    word = '"a"' if name == "p.jsonl" else "a"

    (one,) = read_file(tmp_path, name, f"\ufeff{start}{word}\n")

    assert one.phrase.text == "a"


def test_the_environment_is_not_read_by_a_template(tmp_path):
    with pytest.raises(ManifestError, match=r"\$\{oc\.env:SECRET\} is no variable"):
        phrases("a ${oc.env:SECRET}", sample=None, seed=0, limit=9, where=None)


@pytest.mark.parametrize("key", ["_target_", "_partial_", "_convert_"])
@pytest.mark.parametrize(
    "text", ["{0}: os.system", "set: {{{0}: os.system}}", "prompts: [{{prompt: x, {0}: os.system}}]"]
)
def test_an_order_to_call_something_is_an_unknown_key_of_a_manifest(person, key, text):
    written = text.format(key)
    person.writes("m.yaml", written if "prompts" in written else f"prompts: [x]\n{written}\n")

    said = person.types("plan", "m.yaml")

    assert said.returncode == 2
    assert key in said.stderr
    assert said.stderr.count("\n") == 1


NAMES = [
    "../x",
    "/tmp/x",
    "..",
    ".hidden",
    "a/b",
    "a\\b",
    "a\0b",
    "C:x",
    "con",
    "NUL.txt",
    "lpt9",
    "COM¹",
    "x.",
    "x ",
    "",
]
NAMES += ["n" * 300, "𠀀" * 60, "a\u202eb", "a\u200bb", "a\nb", "~", "$(id)", "-rf"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_of_a_run_that_is_no_plain_folder_is_refused(tmp_path, name):
    (tmp_path / "m.json").write_text(json.dumps({"name": name, "prompts": ["x"]}))

    with pytest.raises(ManifestError, match=r"m\.json:1: (name: [^\n]*|a NUL character[^\n]*)$"):
        read_manifest(tmp_path / "m.json")


@pytest.mark.parametrize("stem", ["con", "nul.x", "𠀀" * 60, "..x", "a\u202eb", "x\x1b[31m", "-", "x. "])
def test_a_manifest_of_any_file_name_gives_a_plain_folder(tmp_path, stem):
    path = tmp_path / f"{stem}.yaml"
    path.write_text("prompts: [x]")

    name = read_manifest(path).name

    (tmp_path / name).mkdir()
    assert len(name.encode()) <= 180
    assert name.isprintable()
    assert name.partition(".")[0].lower() not in ("con", "nul")
    assert name[0].isalnum()


@pytest.mark.parametrize(
    "text", ["../../etc/passwd", "/abs", "a\0b", "\u202egnp.exe", "con.x", "a" * 5000, "\x1b]0;x\x07", "..", "～"]
)
def test_any_prompt_makes_a_plain_file_name(text):
    short = slug(text)

    assert len(short.encode()) <= 80
    assert short.isprintable()
    assert not set("/\\\0:\u202e") & set(short)
    assert not short.startswith(".")


@pytest.mark.parametrize("name", ["con", "NUL", "con.x", "Com1.7"])
def test_a_picture_is_never_named_as_a_device_of_windows(person, name):
    person.writes("m.json", json.dumps({"set": {"model": "demo_shapes"}, "prompts": [{"prompt": "x", "name": name}]}))

    said = person.types("plan", "m.json", "--jobs")

    stem = said.stdout.splitlines()[-1].split(": ")[1]
    assert stem.partition(".")[0].lower() not in ("con", "nul", "com1")


BOMBS = {
    "200,000 variants": ("{" + "|".join(map(str, range(200_000))) + "}", "too many variants"),
    "2^3000 prompts": ("{a|b}" * 3000, "too many variants"),
    "7,000 variables": (" ".join(f"${{v{i}}}" for i in range(7000)), "too many different variables"),
    "nested braces": ("{" * 20_000, "braces inside one another"),
}


@pytest.mark.parametrize(("template", "said"), BOMBS.values(), ids=BOMBS)
def test_a_template_that_would_grow_without_end_is_refused(template, said):
    with pytest.raises(ManifestError, match=said):
        phrases(template, sample=None, seed=0, limit=1000, where="m.yaml:1")


def test_a_list_of_ranges_of_seeds_is_counted_and_refused_before_it_is_written_out(monkeypatch):
    monkeypatch.setattr(sweep, "MAX_LISTED", 2000)

    with pytest.raises(ValueError, match="more than 2,000 in a list"):
        sweep.read_seeds([f"{i * 1000}..{i * 1000 + 999}" for i in range(10**6)])


class Unasked:
    """Stands where values of fields are checked, and must not be asked for any."""

    def read(self, *_):
        raise AssertionError("a value was made")


def test_the_values_of_an_axis_are_counted_before_any_is_made(tmp_path):
    (tmp_path / "m.json").write_text(json.dumps({"prompts": ["x"], "sweep": {"steps": ["1..1000"] * 101}}))

    with pytest.raises(ManifestError, match=r"m\.json:1: steps: has more than 100,000 values"):
        read_dimensions(read_manifest(tmp_path / "m.json"), Unasked())
