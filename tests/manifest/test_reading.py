import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.errors import ManifestError
from batchgen.manifest import manifest_text
from batchgen.manifest.reading import MAX_DEPTH, parse_json, parse_yaml, read_text

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
SCALARS = st.one_of(
    TEXTS, st.integers(-(10**30), 10**30), st.booleans(), st.floats(allow_nan=False, allow_infinity=False)
)
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner), max_leaves=20)


@given(VALUES)
def test_any_value_survives_yaml(value):
    assert parse_yaml(manifest_text({"value": value}), "f.yaml").value == {"value": value}


@given(VALUES, st.booleans())
def test_any_value_survives_json(value, ascii_only):
    text = json.dumps({"value": value}, ensure_ascii=ascii_only, indent=1)

    assert parse_json(text, "f.json").value == {"value": value}


@given(VALUES)
def test_what_yaml_and_json_read_is_of_the_same_types(value):
    written = {"value": value}

    yaml, plain = parse_yaml(manifest_text(written), "f").value, parse_json(json.dumps(written), "f").value

    assert repr(yaml) == repr(plain)


def test_hostile_prompts_survive_yaml(hostile_prompts):
    text = manifest_text({"prompts": list(hostile_prompts)})

    assert parse_yaml(text, "f.yaml").value["prompts"] == list(hostile_prompts)


@pytest.mark.parametrize("word", ["no", "yes", "on", "Off", "True", "NULL", "~", "010", "0x1f", "1e3", "1_000", "1:30"])
def test_what_yaml_guesses_about_stays_text(word):
    assert parse_yaml(f"- {word}", "f.yaml").value == [word]


@pytest.mark.parametrize("word", [".5", "5.", "+1", ".inf", ".nan", "2026-11-21", "=", "0..3", "64x96", "1.0e"])
def test_what_json_would_not_call_a_number_stays_text(word):
    assert parse_yaml(f"[{word}]", "f.yaml").value == [word]


@pytest.mark.parametrize(
    ("word", "value"),
    [("7", 7), ("-2", -2), ("0", 0), ("0.5", 0.5), ("1.5e3", 1500.0), ("true", True), ("false", False), ("null", None)],
)
def test_only_these_words_are_typed_and_quotes_make_them_text(word, value):
    read = parse_yaml(f"[{word}, '{word}', \"{word}\"]", "f.yaml").value

    assert read == [value, word, word]
    assert type(read[0]) is type(value)


REFUSED_YAML = {
    "an anchor": ("a: 1\nb: &x 2", 2, "anchor"),
    "an alias": ("a: 1\nb: *x", 2, "alias"),
    "a tag": ("a: 1\nb: !!python/object:os.system x", 2, "tag"),
    "a tag on a mapping": ("a: !x {b: 1}", 1, "tag"),
    "a bare exclamation mark": ("a: ! b", 1, "tag"),
    "a duplicate key": ("a: 1\nb: 2\na: 3", 3, "'a' is there twice"),
    "a duplicate key inside": ("a:\n  b: 1\n  b: 2", 3, "'b' is there twice"),
    "a merge key": ("a: 1\n<<: {b: 2}", 2, "merge key"),
    "a second document": ("a: 1\n---\nb: 2", 2, "second document"),
    "a list as a key": ("a: 1\n? [b]\n: c", 2, "keys are words"),
    "an unclosed bracket": ("a: 1\nb: [2", 2, "not YAML"),
    "a colon in an unquoted text": ("- a\n- b c: d: e", 2, "quotes"),
    "a tab as indentation": ("a:\n\t- b", 2, "spaces"),
    "braces in an unquoted text": ("a: {red|green} circle", 1, "quotes"),
    "a control character": ("a: 1\nb: \x07", 2, "U+0007"),
    "an escaped NUL": ('a: 1\nb: "\\0"', 2, "NUL"),
    "an escaped surrogate": ('a: 1\nb: "\\ud800"', 2, "not YAML"),
    "a number without end": (f"a: {'1' * 5000}", 1, "5000 digits"),
    "a number beyond floats": ("a: 1.0e999", 1, "too large"),
    "nothing": ("", 1, "empty"),
    "only a comment": ("# nothing", 1, "empty"),
}


@pytest.mark.parametrize(("text", "line", "reason"), REFUSED_YAML.values(), ids=REFUSED_YAML)
def test_yaml_that_is_refused_names_its_line(text, line, reason):
    with pytest.raises(ManifestError, match=r"^[^\n]*$") as caught:
        parse_yaml(text, "f.yaml")

    assert reason in caught.value.message
    # libyaml notices an unclosed bracket where the file ends.
    assert caught.value.where in {f"f.yaml:{line}", f"f.yaml:{line + 1}" if "not YAML" in reason else ""}


REFUSED_JSON = {
    "a duplicate key": ('{"a": 1,\n"a": 2}', 2, "'a' is there twice"),
    "NaN": ("[1,\nNaN]", 2, "NaN"),
    "Infinity": ("[-Infinity]", 1, "Infinity"),
    "a number beyond floats": ("[1e999]", 1, "too large"),
    "a number without end": (f"[{'1' * 5000}]", 1, "5000 digits"),
    "a comma too many": ("[1,\n2,\n]", 2, "comma"),
    "a missing comma": ('["a"\n"b"]', 2, "comma"),
    "a missing colon": ('{"a"\n1}', 2, "colon"),
    "a key without quotes": ("{a: 1}", 1, "not JSON"),
    "a number as a key": ("{1: 2}", 1, "a key must be a text"),
    "half a surrogate pair": ('["\\ud800"]', 1, "surrogate"),
    "an escaped NUL": ('["\\u0000"]', 1, "NUL"),
    "a line break in a text": ('["a\nb"]', 1, "not JSON"),
    "an unclosed text": ('[1,\n"a', 2, "not JSON"),
    "two values": ("1\n2", 2, "follows"),
    "an unclosed list": ("[1", 1, "missing"),
    "nothing": (" \n", 1, "empty"),
}


@pytest.mark.parametrize(("text", "line", "reason"), REFUSED_JSON.values(), ids=REFUSED_JSON)
def test_json_that_is_refused_names_its_line(text, line, reason):
    with pytest.raises(ManifestError, match=r"^[^\n]*$") as caught:
        parse_json(text, "f.json")

    assert reason in caught.value.message
    assert caught.value.where == f"f.json:{line}"


@pytest.mark.parametrize("text", ["[" * 20_000, "- " * 20_000, "{a: " * 20_000, "? " * 20_000])
def test_deep_yaml_is_refused_without_a_traceback(text):
    with pytest.raises(ManifestError, match=r"inside one another|keys are words"):
        parse_yaml(text, "f.yaml")


@pytest.mark.parametrize("text", ["[" * 20_000, '{"a":' * 20_000])
def test_deep_json_is_refused_without_a_traceback(text):
    with pytest.raises(ManifestError, match="inside one another"):
        parse_json(text, "f.json")


def test_what_a_manifest_needs_is_not_too_deep():
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH

    assert parse_yaml(text, "f").value == parse_json(text, "f").value


def test_every_value_of_a_yaml_file_knows_its_line():
    lines = parse_yaml("a: 1\n\nb:\n  - x\n  - {c: 2,\n     d: 3}\n", "f.yaml").lines

    wanted = {("a",): 1, ("b",): 3, ("b", 0): 4, ("b", 1): 5, ("b", 1, "c"): 5, ("b", 1, "d"): 6}
    assert lines == {(): 1, **wanted}


def test_every_value_of_a_json_file_knows_its_line():
    lines = parse_json('{"a": 1,\n\n"b":\n  ["x",\n  {"c": 2,\n"d":\n 3}]}', "f.json").lines

    wanted = {("a",): 1, ("b",): 3, ("b", 0): 4, ("b", 1): 5, ("b", 1, "c"): 5, ("b", 1, "d"): 6}
    assert lines == {(): 1, **wanted}


def test_a_byte_order_mark_at_the_start_is_no_text(tmp_path):
    path = tmp_path / "f.txt"
    path.write_bytes(b"\xef\xbb\xbfa")

    assert read_text(path, kind="file") == "a"


@pytest.mark.parametrize(
    ("data", "reason"), [(b"a\nb\xff", "not UTF-8"), (b"a\nb\0", "NUL"), (b"a\n\xed\xa0\x80", "UTF-8")]
)
def test_bytes_that_are_no_text_name_their_line(tmp_path, data, reason):
    path = tmp_path / "f.txt"
    path.write_bytes(data)

    with pytest.raises(ManifestError, match=rf"f\.txt:2: .*{reason}"):
        read_text(path, kind="file")


@pytest.mark.parametrize("name", ["missing.yaml", "."])
def test_what_is_no_file_is_said(tmp_path, name):
    with pytest.raises(ManifestError, match="there is no such manifest"):
        read_text(tmp_path / name, kind="manifest")


def test_a_name_that_is_too_long_for_a_file_is_told_in_one_line(tmp_path):
    with pytest.raises(ManifestError, match=r"^[^\n]*: cannot be read: [^\n]*too long$"):
        read_text(tmp_path / f"{'a' * 300}.yaml", kind="manifest")
