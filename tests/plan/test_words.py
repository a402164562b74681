import pytest

from batchgen.errors import ManifestError, UsageError
from batchgen.manifest import adhoc, read_manifest
from batchgen.plan.expand import expand
from batchgen.plan.words import saved_text, with_words

SWEEP = "prompts: [x]\nset: {width: 64, clip_skip: 2}\nseeds: 0..3\nsweep: {steps: [4, 8], sampler: [euler, ddim]}\n"


def axes(sweep):
    return {axis.name: tuple(axis.values) for axis in sweep.axes}


def test_a_word_replaces_the_axis_of_its_name(place):
    assert axes(place.sweep(SWEEP, {"steps": (10,)}))["steps"] == (10,)
    assert axes(place.sweep(SWEEP, {"steps": (10, 30, 12)}))["steps"] == (10, 30, 12)
    assert axes(place.sweep(SWEEP, {"steps": ("10..30/10",)}))["steps"] == (10, 20, 30)


def test_several_values_make_an_axis_and_one_sets_a_field(place):
    assert axes(place.sweep(SWEEP, {"clip_skip": (1, 3)}))["clip_skip"] == (1, 3)
    one = place.sweep(SWEEP, {"clip_skip": (3,)})
    assert "clip_skip" not in axes(one)
    assert {cell.job.text.clip_skip for cell in one.cells} == {3}


def test_prompts_of_the_command_line_replace_the_manifest_s_and_are_literal(place):
    sweep = place.sweep(SWEEP, {"prompt": ("${colour}", "{a|b}")})

    assert axes(sweep)["prompt"] == ("${colour}", "{a|b}")
    assert {cell.job.text.prompt for cell in sweep.cells} == {"${colour}", "{a|b}"}


@pytest.mark.parametrize(
    ("words", "seeds"),
    [
        ({"seeds": ("7",)}, (7,)),
        ({"seeds": ("1,5",)}, (1, 5)),
        ({"seeds": ("8..9",)}, (8, 9)),
        ({"seeds": (7,)}, (7,)),
        ({"seeds": (1, 5)}, (1, 5)),
        ({"seeds": ("0..2", 9)}, (0, 1, 2, 9)),
        ({"seed": (3, 1)}, (3, 1)),
    ],
)
def test_seeds_of_the_command_line_replace_the_manifest_s(place, words, seeds):
    assert axes(place.sweep(SWEEP, words))["seed"] == seeds


def test_a_size_replaces_width_and_height_of_set_and_the_other_way_round(place):
    text = "prompts: [x]\nset: {size: 64x96}"

    (tall,) = place.sweep(text, {"width": (128,)}).cells
    (square,) = place.sweep("prompts: [x]\nset: {width: 96}", {"size": ("64x64",)}).cells

    assert (tall.job.canvas.width, tall.job.canvas.height) == (128, 96)
    assert (square.job.canvas.width, square.job.canvas.height) == (64, 64)
    with pytest.raises(ManifestError, match="both size and width"):
        place.sweep("prompts: [x]", {"size": ("64x64",), "width": (64,)})


def test_a_word_chooses_among_the_options_of_a_bundle(place):
    text = "prompts: [x]\nbundles: {look: {fast: {steps: 6}, good: {steps: 30}, best: {steps: 50}}}"

    assert axes(place.sweep(text, {"look": ("best", "fast")}))["look"] == ("best", "fast")
    with pytest.raises(ManifestError, match=r"look=bst: unknown option of look 'bst'; did you mean 'best'"):
        place.sweep(text, {"look": ("bst",)})


def test_an_axis_that_becomes_one_value_leaves_its_zip(place):
    text = "prompts: [x]\nsweep: {steps: [4, 8], width: [64, 128], clip_skip: [1, 2]}\nzip: [[steps, width, clip_skip]]"

    sweep = place.sweep(text, {"width": (96,)})

    found = [
        (cell.coordinates["steps"], cell.coordinates["width"], cell.coordinates["clip_skip"]) for cell in sweep.cells
    ]
    assert found == [(4, 96, 1), (8, 96, 2)]
    with pytest.raises(ManifestError, match="width has 3"):
        place.sweep(text, {"width": (64, 72, 80)})


def test_a_variable_may_come_from_the_command_line(place):
    sweep = place.sweep("prompts: [{template: 'a ${who}'}]", {"who": ("a cat, asleep", 7)})

    assert [cell.job.text.prompt for cell in sweep.cells] == ["a a cat, asleep", "a 7"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"steps": (0,)}, "steps=0: steps: must be"),
        ({"steps": (4, 0)}, "steps=4,0: steps: must be"),
        ({"cfg": (3,)}, "cfg=3: no template uses ${cfg}; unknown field 'cfg'; here it is 'guidance_scale'"),
        ({"stepz": (3,)}, "stepz=3: no template uses ${stepz}; unknown field 'stepz'; did you mean 'steps'"),
        ({"seeds": ("-1",)}, "--seeds -1: seed -1"),
        ({"seeds": (1, -1)}, "seeds=1,-1: seed -1"),
        ({"seed": (-1,)}, "seed=-1: seed -1"),
        ({"sampler": ("eular",)}, "sampler=eular: unknown sampler 'eular'"),
        ({"width": (63,)}, "width=63: width 63 is no multiple of 8"),
        ({"prompt": ("a\0b",)}, "--prompt: a NUL"),
        ({"prompt": ("\udcff",)}, "--prompt: half of a surrogate pair"),
        ({"model": ("../../x",)}, "model=../../x: unknown model"),
    ],
)
def test_a_wrong_word_is_named_in_place_of_a_line(place, words, message):
    with pytest.raises(UsageError) as caught:
        place.sweep("prompts: [x]", words)

    assert str(caught.value).startswith(message)


def test_a_word_that_an_axis_covers_is_warned_about(place):
    warnings = place.sweep("prompts: [x]\nsweep: {size: [64x64, 64x96]}", {"width": (72,)}).warnings

    assert warnings == ("width=72 has no effect: the axis 'size' sets width",)


RICH = """
    name: rich
    set: {steps: 12, size: 64x96}
    prompts:
      - no
      - {prompt: "1e3", negative_prompt: blurry, seed: 7, name: SH020, note: "for: the cover"}
      - {file: p.csv, clip_skip: 2}
      - {template: "a {red|green} ${what}"}
      - {template: "{a|b|c|d|e|f}", mode: sample, count: 2, seed: 3}
    seeds: {count: 2, from: 100}
    sweep: {sampler: [euler, ddim], guidance_scale: 1.0..2.0/0.5, what: [star, "0..3"], emphasis: none}
    bundles: {look: {fast: {rounding: truncate}, good: {}}}
    zip: [[sampler, what]]
    exclude: [{sampler: ddim, guidance_scale: ">1.5"}]
    subset: {count: 40, seed: 3}
    order: breadth
    compare: {x: sampler, y: look}
"""


@pytest.mark.parametrize(
    "words",
    [
        {},
        {"steps": (10, 30), "sampler": ("heun",), "model": ("large",), "width": (72,)},
        {"prompt": ("${a}", "{b|c} # d", "two\nlines"), "seeds": ("1,5",), "look": ("good",)},
        {"seeds": (1, "5..6")},
        {"guidance_scale": ("1.0..3.0",), "negative_prompt": ("no", "1e3"), "seed": (2**64 - 1,)},
    ],
)
def test_the_saved_manifest_asks_for_the_same_without_words_and_files(place, confs, tmp_path, words):
    place.write("p.csv", 'prompt,steps\n"a, b",\n#c,9\n')
    text = RICH
    if "prompt" in words:  # no template is left to use the variable
        text = text.replace('what: [star, "0..3"], ', "").replace("zip: [[sampler, what]]", "")
    manifest = place.manifest(text)
    wanted = expand(manifest, words, confs)

    saved = tmp_path / "saved" / "manifest.yaml"
    saved.parent.mkdir()
    saved.write_text(saved_text(manifest, words), encoding="utf-8")
    again = expand(read_manifest(saved), {}, confs)

    assert again.cells == wanted.cells
    assert again.axes == wanted.axes
    assert (read_manifest(saved).name, read_manifest(saved).order) == ("rich", "breadth")
    assert read_manifest(saved).compare == manifest.compare


@pytest.mark.parametrize(
    "compare",
    [
        "true",
        "false",
        "{grid: false, columns: 3}",
        "{against: steps=max, cell: 99}",
        "{x: sampler, against: {sampler: euler, seed: 3}}",
    ],
)
def test_how_it_is_compared_is_saved_as_it_was_said(place, tmp_path, compare):
    manifest = place.manifest(f"prompts: [x]\nsweep: {{sampler: [euler, ddim]}}\ncompare: {compare}\n")
    saved = tmp_path / "manifest.yaml"

    saved.write_text(saved_text(manifest, {}), encoding="utf-8")

    assert read_manifest(saved).compare == manifest.compare


def test_hostile_prompts_survive_being_saved(confs, tmp_path, hostile_prompts):
    saved = tmp_path / "manifest.yaml"
    saved.write_text(saved_text(adhoc(), {"prompt": hostile_prompts}), encoding="utf-8")

    cells = expand(read_manifest(saved), {}, confs).cells

    assert [cell.job.text.prompt for cell in cells] == list(hostile_prompts)


def test_words_leave_the_manifest_itself_as_it_was(place):
    manifest = place.manifest(SWEEP)

    with_words(manifest, {"steps": (1,), "prompt": ("y",), "clip_skip": (5,)})

    assert manifest == place.manifest(SWEEP)
