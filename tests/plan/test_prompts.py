import csv
import io
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.errors import ManifestError
from batchgen.manifest import adhoc, manifest_text, read_manifest
from batchgen.plan.prompts import read_prompts

TEXTS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1)
ONE_LINE = TEXTS.filter(lambda text: "\n" not in text and text.strip() and not text.endswith("\r"))


def read(place, name, text, entry=None):
    """Write a prompt file, and read it through a manifest."""
    place.write(name, text)
    manifest = place.manifest(manifest_text({"prompts": [{"file": name, **(entry or {})}]}))
    return read_prompts(manifest, limit=1000)


def texts(prompts):
    return [prompt.phrase.text for prompt in prompts]


def csv_text(rows):
    out = io.StringIO(newline="")
    csv.writer(out).writerows(rows)
    return out.getvalue()


@pytest.fixture
def files(place):
    place.write("p/lines.txt", "a red circle\n\n   \n# a blue star\r\n  spaces  \n")
    return place


def test_each_line_of_a_text_file_is_a_prompt_whatever_it_begins_with(files):
    prompts = read_prompts(files.manifest("prompts: [{file: p/lines.txt}]"), limit=9)

    assert texts(prompts) == ["a red circle", "# a blue star", "  spaces  "]
    assert [prompt.where.rsplit("/", 1)[1] for prompt in prompts] == ["lines.txt:1", "lines.txt:4", "lines.txt:5"]


def test_hostile_prompts_survive_every_way_to_write_them(place, hostile_prompts):
    wanted = list(hostile_prompts)
    lines = [prompt for prompt in wanted if "\n" not in prompt]

    assert texts(read_prompts(place.manifest(manifest_text({"prompts": wanted})), limit=9)) == wanted
    assert texts(read(place, "p.csv", csv_text([["prompt"], *([prompt] for prompt in wanted)]))) == wanted
    assert texts(read(place, "p.jsonl", "\n".join(json.dumps({"prompt": prompt}) for prompt in wanted))) == wanted
    assert texts(read(place, "p.txt", "\n".join(lines))) == lines


@given(st.lists(TEXTS, min_size=1))
def test_any_text_survives_a_csv_file(somewhere, wanted):
    assert texts(read(somewhere, "a.csv", csv_text([["prompt"], *([text] for text in wanted)]))) == wanted


@given(st.lists(TEXTS, min_size=1), st.booleans())
def test_any_text_survives_a_jsonl_file(somewhere, wanted, ascii_only):
    text = "\n".join(json.dumps(each, ensure_ascii=ascii_only) for each in wanted)

    assert texts(read(somewhere, "a.jsonl", text)) == wanted


@given(st.lists(ONE_LINE, min_size=1))
def test_any_line_survives_a_text_file(somewhere, wanted):
    assert texts(read(somewhere, "a.txt", "first\n" + "\n".join(wanted))) == ["first", *wanted]


def test_columns_are_fields_and_an_empty_cell_says_nothing(place):
    text = '\ufeffprompt, seed,steps,name,negative_prompt\na,3,,SH1,7\n"b\nc",4,12,,\n'

    one, two = read(place, "p.csv", text)

    assert (one.fields, one.name, one.phrase.text) == ({"seed": 3, "negative_prompt": "7"}, "SH1", "a")
    assert (two.fields, two.name, two.phrase.text) == ({"seed": 4, "steps": 12}, None, "b\nc")


def test_a_row_s_own_fields_go_before_those_of_the_file(place):
    one, two = read(place, "p.jsonl", '"a"\n{"prompt": "b", "steps": 9}', {"steps": 5, "clip_skip": 2})

    assert one.fields == {"steps": 5, "clip_skip": 2}
    assert two.fields == {"steps": 9, "clip_skip": 2}


def test_templates_may_stand_in_files(place):
    assert texts(read(place, "p.csv", "template\na {red|green} circle\n")) == ["a red circle", "a green circle"]
    assert texts(read(place, "p.txt", "a {red|green} circle\n")) == ["a {red|green} circle"]


BROKEN = {
    "an unclosed quote": ("p.csv", 'prompt,seed\na,1\n"b,2\nc,3\n', 3, "never closed"),
    "a quote inside": ("p.csv", 'prompt\n"a"b\n', 2, "not CSV"),
    "too many cells": ("p.csv", "prompt,seed\na,1\nb,c,2\n", 3, "3 cells, but 2 columns"),
    "too few cells": ("p.csv", 'prompt,seed\n"a\nb",1\nc\n', 4, "1 cells, but 2 columns"),
    "no prompt column": ("p.csv", "text,seed\na,1\n", 1, "'prompt' is missing"),
    "semicolons": ("p.csv", "prompt;seed\na;1\n", 1, "'prompt' is missing"),
    "a column twice": ("p.csv", "prompt,seed,seed\na,1,2\n", 1, "a name of its own"),
    "a column without a name": ("p.csv", "prompt,\na,1\n", 1, "a name of its own"),
    "a row without a prompt": ("p.csv", "prompt,seed\n,1\n", 2, "exactly one of prompt"),
    "a huge cell": ("p.csv", f"prompt\n{'a' * 200_000}\n", 2, "not CSV"),
    "not JSON": ("p.jsonl", '"a"\n\n{"prompt": b}\n', 3, "not JSON"),
    "a key twice": ("p.jsonl", '"a"\n{"prompt": "b", "prompt": "c"}\n', 2, "twice"),
    "NaN": ("p.jsonl", '{"prompt": "b", "guidance_scale": NaN}\n', 1, "NaN"),
    "a number": ("p.jsonl", '"a"\n7\n', 2, "must be a text"),
    "a list": ("p.jsonl", '"a"\n["b"]\n', 2, "must be a text"),
    "a file in a file": ("p.jsonl", '{"file": "p.txt"}\n', 1, "inside a prompt file"),
    "nothing": ("p.txt", "\n \n", None, "has no prompts"),
    "only a header": ("p.csv", "prompt,seed\n", None, "has no prompts"),
    "a NUL": ("p.txt", "a\nb\0\n", 2, "NUL"),
}


@pytest.mark.parametrize(("name", "text", "line", "reason"), BROKEN.values(), ids=BROKEN)
def test_a_broken_prompt_file_names_its_line(place, name, text, line, reason):
    with pytest.raises(ManifestError, match=r"^[^\n]*$") as caught:
        read(place, name, text)

    assert reason in caught.value.message
    assert caught.value.where.endswith(f"{name}:{line}" if line else "m.yaml:2")


@pytest.mark.parametrize(
    "path", ["/etc/passwd.txt", "../p.txt", "p/../../p.txt", "c:\\p.txt", "c:p.txt", "..\\p.txt", "", "."]
)
def test_a_prompt_file_outside_of_the_manifest_s_folder_is_refused(place, path):
    manifest = place.manifest(manifest_text({"prompts": [{"file": path}]}))

    with pytest.raises(ManifestError, match="inside the manifest's folder"):
        read_prompts(manifest, limit=9)


@pytest.mark.parametrize("link", ["file", "folder"])
def test_a_link_that_leads_out_of_the_manifest_s_folder_is_refused(place, tmp_path_factory, link):
    outside = tmp_path_factory.mktemp("outside")
    (outside / "p.txt").write_text("a secret\n")
    place.folder.joinpath("p.txt" if link == "file" else "p").symlink_to(
        outside / "p.txt" if link == "file" else outside
    )
    path = "p.txt" if link == "file" else "p/p.txt"

    with pytest.raises(ManifestError, match=r"^[^\n]*m\.yaml:1: file: [^\n]*leads out of the manifest's folder[^\n]*$"):
        read_prompts(place.manifest(f"prompts: [{{file: {path}}}]"), limit=9)


def test_a_link_inside_of_the_manifest_s_folder_is_followed_also_where_that_is_a_link(place):
    place.write("real/shapes/p.txt", "a circle\n")
    place.write("real/m.yaml", "prompts: [{file: link.txt}]")
    (place.folder / "real/link.txt").symlink_to("shapes/p.txt")
    (place.folder / "other").symlink_to("real")

    assert texts(read_prompts(read_manifest(place.folder / "other/m.yaml"), limit=9)) == ["a circle"]


def test_a_link_to_itself_is_no_file(place):
    (place.folder / "p.txt").symlink_to("p.txt")

    with pytest.raises(ManifestError, match=r"m\.yaml:1: file: there is no "):
        read_prompts(place.manifest("prompts: [{file: p.txt}]"), limit=9)


def test_a_name_that_is_too_long_for_a_file_is_told_in_one_line(place):
    with pytest.raises(ManifestError, match=r"^[^\n]*m\.yaml:1: file: 'aaa[^\n]*too long$") as caught:
        read_prompts(place.manifest(f"prompts: [{{file: {'a' * 300}.txt}}]"), limit=9)

    assert len(caught.value.message) < 150


@pytest.mark.parametrize(("path", "reason"), [("p.pdf", r"must end in \.txt"), ("nope.txt", "there is no .*nope.txt")])
def test_a_prompt_file_that_cannot_be_read_is_named(place, path, reason):
    place.write("p.pdf", "x")

    with pytest.raises(ManifestError, match=rf"m\.yaml:1: file: .*{reason}"):
        read_prompts(place.manifest(f"prompts: [{{file: {path}}}]"), limit=9)


def test_labels_are_names_or_texts_and_never_the_same(place):
    manifest = place.manifest("""
        prompts:
          - a
          - {prompt: a, steps: 3}
          - a (2)
          - {prompt: b, name: SH1}
          - {template: "{c|d}", name: SH1}
          - a
    """)

    labels = [prompt.label for prompt in read_prompts(manifest, limit=9)]

    assert labels == ["a", "a (3)", "a (2)", "SH1", "SH1 (2)", "SH1 (3)", "a (4)"]


@given(st.lists(st.sampled_from(["a", "a (2)", "a (3)", "a (2) (2)", "b"]), min_size=1))
def test_no_two_prompts_share_a_label(somewhere, wanted):
    prompts = read_prompts(somewhere.manifest(manifest_text({"prompts": wanted})), limit=9)

    assert len({prompt.label for prompt in prompts}) == len(wanted)


def test_no_prompt_at_all_is_an_error():
    with pytest.raises(ManifestError, match="--prompt"):
        read_prompts(adhoc(), limit=9)
