import json

import pytest
import yaml

from batchgen.errors import ManifestError
from batchgen.manifest import Comparing, Entry, Subset, adhoc, read_manifest

EXAMPLE = """\
name: samplers
set: {model: demo_shapes, steps: 20}
prompts:
  - a red circle on a blue background
  - {prompt: a green square, negative_prompt: blurry, seed: 7, name: SH020, note: for the cover}
  - {file: prompts/shapes.txt}
  - {template: "a {red|green} {circle|square}", mode: all}
  - {template: "a {red|green} circle", mode: sample, count: 8, seed: 3}
seeds: {count: 8, from: 100}
sweep: {sampler: [euler, ddim], steps: 4..20/8}
bundles: {look: {fast: {guidance_scale: 1.5}, good: {guidance_scale: 6}}}
zip: [[sampler, steps]]
exclude: [{sampler: [ddim, lms], steps: ">12"}]
subset: {count: 500, seed: 1}
order: breadth
compare: {x: steps, y: sampler, page: prompt}
"""


@pytest.fixture
def read(tmp_path):
    def read(text, name="m.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return read_manifest(path)

    return read


def test_a_manifest_holds_what_its_author_wrote(read, tmp_path):
    manifest = read(EXAMPLE)

    assert manifest.name == "samplers"
    assert manifest.set == {"model": "demo_shapes", "steps": 20}
    assert manifest.seeds == {"count": 8, "from": 100}
    assert manifest.sweep == {"sampler": ("euler", "ddim"), "steps": ("4..20/8",)}
    assert manifest.bundles == {"look": {"fast": {"guidance_scale": 1.5}, "good": {"guidance_scale": 6}}}
    assert manifest.zip == (("sampler", "steps"),)
    assert manifest.exclude == ({"sampler": ("ddim", "lms"), "steps": (">12",)},)
    assert manifest.subset == Subset(count=500, seed=1)
    assert manifest.order == "breadth"
    assert manifest.compare == Comparing(x="steps", y="sampler", page="prompt")
    assert manifest.folder == tmp_path


def test_each_kind_of_prompt_has_its_own_keys(read, tmp_path):
    where = [f"{tmp_path / 'm.yaml'}:{line}" for line in range(4, 9)]

    assert read(EXAMPLE).prompts == (
        Entry(kind="prompt", text="a red circle on a blue background", where=where[0]),
        Entry(
            kind="prompt",
            text="a green square",
            fields={"negative_prompt": "blurry", "seed": 7},
            name="SH020",
            note="for the cover",
            where=where[1],
        ),
        Entry(kind="file", text="prompts/shapes.txt", where=where[2]),
        Entry(kind="template", text="a {red|green} {circle|square}", where=where[3]),
        Entry(kind="template", text="a {red|green} circle", sample=8, sample_seed=3, where=where[4]),
    )


def test_json_says_the_same_as_yaml(read):
    plain = read(EXAMPLE)

    again = read(json.dumps(yaml.safe_load(EXAMPLE)), "m.json")

    assert (again.set, again.sweep, again.bundles, again.exclude) == (
        plain.set,
        plain.sweep,
        plain.bundles,
        plain.exclude,
    )


def test_a_run_is_named_after_its_file_where_nothing_is_said(read):
    assert read("prompts: [x]", "herons at dawn.yaml").name == "herons at dawn"


@pytest.mark.parametrize(("file", "name"), [(".hidden.yaml", "hidden"), ("a:b.yaml", "a-b"), ("_.yaml", "manifest")])
def test_a_file_name_that_makes_no_folder_is_mended(read, file, name):
    assert read("prompts: [x]", file).name == name


def test_compare_false_means_pictures_only_and_silence_means_choose(read):
    assert read("compare: false").compare is None
    assert read("compare: true").compare == read("prompts: [x]").compare == Comparing()


def test_compare_says_sides_measure_and_size_of_what_is_shown(read):
    text = "compare: {y: sampler, against: {steps: max, seed: 3}, columns: 6, cell: 128}"

    found = read(text).compare

    assert found == Comparing(y="sampler", against={"steps": "max", "seed": 3}, columns=6, cell=128)
    assert found.sides == {"y": "sampler"}
    assert read("compare: {against: steps=max, grid: false}").compare == Comparing(against="steps=max", grid=False)


def test_a_place_is_the_nearest_line_above(read, tmp_path):
    manifest = read("set:\n  steps: 3\n")

    assert manifest.where(("set", "steps")) == f"{tmp_path / 'm.yaml'}:2"
    assert manifest.where(("set", "width")) == f"{tmp_path / 'm.yaml'}:1"
    assert adhoc().where(("set", "width")) is None


WRONG = {
    "a list": ("- x", 1, "must be a mapping"),
    "a text": ("x", 1, "must be a mapping"),
    "an unknown key": ("prompts: [x]\nswep: {}", 2, "did you mean 'sweep'"),
    "a recipe field outside": ("steps: 4", 1, "write it under `set:`"),
    "prompt for prompts": ("prompt: x", 1, "did you mean 'prompts'"),
    "seed for seeds": ("seed: 1", 1, "did you mean 'seeds'"),
    "batch_size": ("batch_size: 4", 1, "seed"),
    "runtime": ("runtime: {device: cpu}", 1, "command line"),
    "output": ("output: {root: /}", 1, "--into"),
    "paths": ("paths: {models: [/]}", 1, "command line"),
    "hooks": ("hooks: [x]", 1, "nothing that runs"),
    "a key without a value": ("prompts:\nseeds: 1", 1, "nothing stands under 'prompts'"),
    "no prompts in the list": ("prompts: []", 1, "at least one"),
    "one prompt without a list": ("prompts: x", 1, "must be a list"),
    "a number as a prompt": ("prompts:\n- 7", 2, 'in quotes it is one: "7"'),
    "an empty item": ("prompts:\n- x\n-", 3, "must be a text, not nothing"),
    "a text with a colon": ("prompts:\n- a cat: big", 2, "needs quotes"),
    "two kinds of prompt": ("prompts:\n- {prompt: x, file: y.txt}", 2, "exactly one"),
    "a list as a field": ("prompts:\n- {prompt: x, steps: [1]}", 2, "must be one value"),
    "a number as a name": ("prompts:\n- {prompt: x, name: 7}", 2, "name: must be a text"),
    "a name for a file": ("prompts:\n- {file: x.txt, name: y}", 2, "lines of the file"),
    "an unknown mode": ("prompts:\n- {template: x, mode: some}", 2, "all or sample"),
    "count without a sample": ("prompts:\n- {template: x, count: 3}", 2, "mode: sample"),
    "a sample without a count": ("prompts:\n- {template: x, mode: sample}", 2, "count: 8"),
    "a sample of none": ("prompts:\n- {template: x, mode: sample, count: 0}", 2, "at least 1"),
    "prompt as an axis": ("sweep: {prompt: [x]}", 1, "`prompts:`"),
    "seeds as an axis": ("sweep: {seeds: [1]}", 1, "`seeds:`"),
    "a seed in set": ("set:\n  seed: 7", 2, "write `seeds:`, outside of `set:`"),
    "seeds in set": ("set: {seeds: 0..3}", 1, "write `seeds:`"),
    "a prompt in set": ("set: {prompt: x}", 1, "write `prompts:`"),
    "a seed in a bundle": ("bundles:\n  look:\n    one: {seed: 5}", 3, "write `seeds:`, outside of `bundles:`"),
    "a prompt in a bundle": ("bundles: {look: {one: {prompt: x}}}", 1, "write `prompts:`"),
    "prompts in a bundle": ("bundles: {look: {one: {prompts: x}}}", 1, "write `prompts:`"),
    "an axis without values": ("sweep:\n  steps: []", 2, "no picture"),
    "a mapping as an axis": ("sweep:\n  steps: {a: 1}", 2, "must be one value"),
    "null as a value": ("sweep:\n  steps: [1, null]", 2, "must be one value"),
    "a bundle named as a field": ("bundles: {steps: {a: {width: 64}}}", 1, "recipe field"),
    "a bundle without options": ("bundles: {look: {}}", 1, "no picture"),
    "an option that is a list": ("bundles:\n  look:\n    fast: [1]", 3, "must be a mapping"),
    "a zip of one": ("zip: [[steps]]", 1, "at least two"),
    "a zip that is no list": ("zip: [steps, width]", 1, "must be a list"),
    "an axis in two zips": ("zip: [[a, b], [c, a]]", 1, "twice"),
    "an empty exclusion": ("exclude: [{}]", 1, "empty condition"),
    "an exclusion of nothing": ("exclude: [{steps: []}]", 1, "nothing is said"),
    "a subset without a count": ("subset: {seed: 1}", 1, "count"),
    "a subset of none": ("subset: {count: 0}", 1, "at least 1"),
    "a boolean subset": ("subset: {count: true}", 1, "whole number"),
    "an unknown key of subset": ("subset: {counts: 1}", 1, "did you mean 'count'"),
    "an unknown order": ("order: random", 1, "grouped or breadth"),
    "an unknown side": ("compare: {z: steps}", 1, "unknown key of compare 'z'"),
    "one axis on two sides": ("compare: {x: steps, y: steps}", 1, "different axes"),
    "an axis that is a number": ("compare: {x: 3}", 1, 'in quotes it is one: "3"'),
    "no columns": ("compare:\n  columns: 0", 2, "compare.columns: must be a whole number, at least 1, not 0"),
    "half a column": ("compare: {columns: 1.5}", 1, "whole number"),
    "a place too small to see": ("compare:\n  x: steps\n  cell: 15", 3, "at least 16, not 15"),
    "a place too large": ("compare: {cell: 2049}", 1, "compare.cell: must be a whole number, at most 2048, not 2049"),
    "a grid in words": ("compare: {grid: none}", 1, "compare.grid: must be true or false, not 'none'"),
    "a side of no grid": ("compare:\n  y: steps\n  grid: false", 3, "y is a side of a grid"),
    "nothing to measure against": ("compare: {against: {}}", 1, "such as `{steps: max}`"),
    "a list to measure against": ("compare:\n  against: [a]", 2, "compare.against: must be a text, not a list"),
    "a reference with two values": ("compare: {against: {steps: [1]}}", 1, "compare.against.steps: must be one value"),
    "a name with a slash": ("name: a/b", 1, "folder"),
    "a name that climbs": ("name: ..", 1, "folder"),
    "a number as a run's name": ("name: 2026", 1, 'in quotes it is one: "2026"'),
}


@pytest.mark.parametrize(("text", "line", "reason"), WRONG.values(), ids=WRONG)
def test_a_wrong_shape_names_its_line_and_what_is_right(read, text, line, reason):
    with pytest.raises(ManifestError, match=r"^[^\n]*$") as caught:
        read(text)

    assert reason in caught.value.message
    assert caught.value.where.endswith(f"m.yaml:{line}")
    assert caught.value.exit_code == 2


def test_only_yaml_and_json_are_manifests(read):
    with pytest.raises(ManifestError, match=r"\.yaml, \.yml or \.json"):
        read("prompts: [x]", "m.toml")
