from collections import Counter
from math import prod

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.errors import ConfError, ManifestError, ModelError, UsageError
from batchgen.manifest import adhoc, manifest_text
from batchgen.plan.expand import expand

ORDER = ["conf/job.yaml", "recommended", "set", "command line", "axis", "entry"]


@pytest.mark.parametrize("highest", ORDER)
def test_what_stands_higher_in_the_order_of_precedence_wins(place, confs, highest):
    said = ORDER[: ORDER.index(highest) + 1]
    confs.recipe["clip_skip"] = 1
    confs.models["small"] = type(confs.models["small"])(name="small", recommended={
        **confs.models["small"].recommended, **({"clip_skip": 2} if "recommended" in said else {}),
    })  # fmt: skip
    manifest = {"prompts": [{"prompt": "x", **({"clip_skip": 6} if "entry" in said else {})}]}
    manifest |= {"set": {"clip_skip": 3}} if "set" in said else {}
    # A bundle is an axis that keeps its place beside a word of the command line; a plain axis would be replaced by it.
    manifest |= {"bundles": {"look": {"a": {"clip_skip": 5}}}} if "axis" in said else {}
    words = {"clip_skip": (4,)} if "command line" in said else {}

    (cell,) = place.sweep(manifest_text(manifest), words).cells

    assert cell.job.text.clip_skip == ORDER.index(highest) + 1


def test_the_model_s_recommendation_fills_what_is_left_open(place):
    (job,) = place.jobs("prompts: [x]")

    assert {name: job[name] for name in ("width", "height", "steps", "guidance_scale", "sampler", "schedule")} == {
        "width": 64, "height": 64, "steps": 20, "guidance_scale": 4.0, "sampler": "euler", "schedule": "karras",
    }  # fmt: skip


def test_each_model_of_an_axis_has_its_own_recommendation(place):
    small, large = place.jobs("prompts: [x]\nsweep: {model: [small, large]}")

    assert (small["width"], small["steps"]) == (64, 20)
    assert (large["width"], large["steps"]) == (128, 30)


@pytest.mark.parametrize(
    ("said", "sampler", "schedule"),
    [
        ({}, "euler", "karras"),
        ({"sampler": "euler"}, "euler", "karras"),
        ({"sampler": "ddim"}, "ddim", "ddim_uniform"),
        ({"sampler": "ddim", "schedule": "beta"}, "ddim", "beta"),
        ({"schedule": "beta"}, "euler", "beta"),
    ],
)
def test_a_recommended_schedule_belongs_to_the_recommended_sampler(place, said, sampler, schedule):
    (job,) = place.jobs(manifest_text({"prompts": ["x"], "set": said}))

    assert (job["sampler"], job["schedule"]) == (sampler, schedule)


def test_size_is_width_and_height(place):
    jobs = place.jobs("prompts: [x]\nsweep: {size: [64x96, 128x64]}")

    assert [(job["width"], job["height"]) for job in jobs] == [(64, 96), (128, 64)]


def test_prompts_change_slowest_then_the_axes_as_written_and_seeds_fastest(place):
    sweep = place.sweep("prompts: [a, b]\nseeds: 0..1\nsweep: {steps: [4, 8], sampler: [ddim, euler]}")

    assert [tuple(cell.coordinates.values()) for cell in sweep.cells][:5] == [
        ("a", 4, "ddim", 0),
        ("a", 4, "ddim", 1),
        ("a", 4, "euler", 0),
        ("a", 4, "euler", 1),
        ("a", 8, "ddim", 0),
    ]
    assert [axis.name for axis in sweep.axes] == ["prompt", "steps", "sampler", "seed"]
    assert sweep.varying == ("prompt", "steps", "sampler", "seed")


VALUES = {
    "steps": [4, 8, 12, 20],
    "sampler": ["euler", "ddim", "heun"],
    "size": ["64x64", "64x96", "128x64"],
    "clip_skip": [1, 2, 3],
    "colour": ["red", "blue", "no", "0"],
}


@st.composite
def manifests(draw):
    """A manifest of random axes, bundles and prompts, with the number of its cells counted by hand."""
    names = draw(st.lists(st.sampled_from(sorted(VALUES)), unique=True))
    sweep = {name: draw(st.lists(st.sampled_from(VALUES[name]), min_size=1, unique=True)) for name in names}
    looks = draw(st.integers(0, 3))
    seeds = draw(st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=3, unique=True))
    template = ["a ${colour} circle"] if "colour" in sweep else []
    plain = draw(st.lists(st.sampled_from(["a", "b"]), max_size=3, min_size=0 if template else 1))
    pinned = draw(st.lists(st.sampled_from(sorted({"steps", "sampler", "seed"})), unique=True))
    own = {"steps": 4, "sampler": "heun", "seed": 99}

    def cells(without):
        sizes = {**{name: len(values) for name, values in sweep.items()}, "seed": len(seeds), "look": looks or 1}
        return prod(size for name, size in sizes.items() if name not in without)

    manifest = {
        "prompts": [
            *plain,
            *({"template": text} for text in template),
            {"prompt": "c", **{key: own[key] for key in pinned}},
        ],
        "seeds": seeds,
        "sweep": sweep,
        "bundles": {"look": {f"look {i}": {"guidance_scale": 1 + i} for i in range(looks)}} if looks else {},
    }
    count = len(plain) * cells({"colour"}) + len(template) * cells(set()) + cells({"colour", *pinned})
    return {name: part for name, part in manifest.items() if part}, count


@given(manifests())
def test_there_are_as_many_cells_as_the_axes_say_and_no_two_in_one_place(somewhere, drawn):
    manifest, count = drawn

    sweep = somewhere.sweep(manifest_text(manifest))

    assert sweep.count == sweep.product == count
    assert len({cell.coordinates for cell in sweep.cells}) == count


@given(manifests())
def test_coordinates_are_what_the_job_has(somewhere, drawn):
    for cell in somewhere.sweep(manifest_text(drawn[0])).cells:
        job = cell.job
        fields = {"steps": job.sampling.steps, "sampler": job.sampling.sampler, "clip_skip": job.text.clip_skip}
        fields |= {"size": f"{job.canvas.width}x{job.canvas.height}", "seed": job.seed}
        for name, value in cell.coordinates.items():
            assert fields.get(name, value) == value
        if cell.coordinates.get("colour") is not None:
            assert job.text.prompt == f"a {cell.coordinates['colour']} circle"


@given(manifests())
def test_axes_hold_the_values_that_occur_in_the_manifest_s_order(somewhere, drawn):
    manifest, _ = drawn
    sweep = somewhere.sweep(manifest_text(manifest))

    for axis in sweep.axes:
        assert set(axis.values) == {cell.coordinates[axis.name] for cell in sweep.cells}
        written = [value for value in manifest.get("sweep", {}).get(axis.name, []) if value in axis.values]
        assert list(axis.values)[: len(written)] == written


@given(manifests())
def test_expanding_twice_gives_the_same_jobs(somewhere, drawn):
    text = manifest_text(drawn[0])

    assert [cell.job.id for cell in somewhere.sweep(text).cells] == [
        cell.job.id for cell in somewhere.sweep(text).cells
    ]


def test_a_bundle_sets_several_fields_under_one_label(place):
    sweep = place.sweep("""
        prompts: [x]
        bundles: {look: {fast: {guidance_scale: 1.5, steps: 6}, good: {guidance_scale: 6}}}
    """)

    found = [
        (cell.coordinates["look"], cell.job.sampling.guidance_scale, cell.job.sampling.steps) for cell in sweep.cells
    ]
    assert found == [("fast", 1.5, 6), ("good", 6.0, 20)]


def test_zipped_axes_go_together(place):
    sweep = place.sweep("""
        prompts: [x]
        sweep: {steps: [4, 8], clip_skip: [1, 2], sampler: [euler, ddim]}
        zip: [[steps, sampler]]
    """)

    found = [(cell.coordinates["steps"], cell.coordinates["sampler"]) for cell in sweep.cells]
    assert Counter(found) == {(4, "euler"): 2, (8, "ddim"): 2}
    assert [axis.name for axis in sweep.axes] == ["prompt", "steps", "sampler", "clip_skip", "seed"]


def test_zipped_axes_may_repeat_a_value_but_not_a_pair(place):
    text = "prompts: [x]\nzip: [[steps, sampler]]\nsweep: {steps: [4, 4], sampler: [euler, %s]}"

    assert place.sweep(text % "ddim").count == 2
    with pytest.raises(ManifestError, match="steps, sampler: 4, euler is there twice"):
        place.sweep(text % "euler")


def test_a_variable_takes_its_values_in_templates_only(place):
    sweep = place.sweep("""
        prompts:
          - a ${colour} circle
          - {template: "a ${colour} circle"}
        sweep: {colour: [red, no]}
    """)

    assert [(cell.job.text.prompt, cell.coordinates["colour"]) for cell in sweep.cells] == [
        ("a ${colour} circle", None),
        ("a red circle", "red"),
        ("a no circle", "no"),
    ]
    assert sweep.axes[0].values == ("a ${colour} circle", "a ${colour} circle (2)")


def test_numbers_as_values_of_a_variable_are_written_as_typed(place):
    texts = [cell.job.text.prompt for cell in place.sweep("""
        prompts: [{template: "${n} circles"}]
        sweep: {n: [1, 2.5, true, "007"]}
    """).cells]  # fmt: skip

    assert texts == ["1 circles", "2.5 circles", "true circles", "007 circles"]


def test_a_range_alone_is_a_range_and_in_a_list_of_texts_a_text(place):
    text = "prompts: [{template: '${n}'}]\nsweep: {n: %s}"

    assert [cell.job.text.prompt for cell in place.sweep(text % "1..3").cells] == ["1", "2", "3"]
    assert [cell.job.text.prompt for cell in place.sweep(text % "[1..3, x]").cells] == ["1..3", "x"]


def test_a_bundle_may_set_variables(place):
    sweep = place.sweep("""
        prompts: [{template: "a ${what}"}]
        bundles: {who: {one: {what: circle, steps: 4}, two: {what: star, steps: 5}}}
    """)

    assert [(cell.job.text.prompt, cell.job.sampling.steps) for cell in sweep.cells] == [("a circle", 4), ("a star", 5)]


def test_an_entry_s_own_field_pins_its_axis(place):
    sweep = place.sweep("""
        prompts: [a, {prompt: b, steps: 9, seed: 7}]
        seeds: 0..1
        sweep: {steps: [4, 8]}
    """)

    places = [(cell.coordinates["prompt"], cell.coordinates["steps"], cell.coordinates["seed"]) for cell in sweep.cells]
    assert places == [("a", 4, 0), ("a", 4, 1), ("a", 8, 0), ("a", 8, 1), ("b", 9, 7)]
    assert sweep.axes[1].values == (4, 8, 9)


def test_an_entry_may_pin_a_size_a_bundle_and_a_variable(place):
    sweep = place.sweep("""
        prompts:
          - {prompt: a, size: 128x128}
          - {prompt: b, look: good}
          - {template: "${colour} c", colour: green}
          - {template: "${colour} d"}
        sweep: {size: [64x64, 64x96], colour: [red, blue]}
        bundles: {look: {fast: {steps: 6}, good: {steps: 30}}}
    """)

    found = Counter(cell.coordinates["prompt"] for cell in sweep.cells)
    assert found == {"a": 2, "b": 2, "${colour} c": 4, "${colour} d": 8}
    assert {cell.coordinates["size"] for cell in sweep.cells if cell.coordinates["prompt"] == "a"} == {"128x128"}
    assert {cell.job.sampling.steps for cell in sweep.cells if cell.coordinates["prompt"] == "b"} == {30}
    assert {cell.job.text.prompt for cell in sweep.cells if cell.coordinates["prompt"] == "${colour} c"} == {"green c"}


def test_pinning_one_axis_of_a_zip_leaves_the_other(place):
    sweep = place.sweep("""
        prompts: [{prompt: x, steps: 9}]
        sweep: {steps: [4, 8], clip_skip: [1, 2]}
        zip: [[steps, clip_skip]]
    """)

    assert [(cell.coordinates["steps"], cell.coordinates["clip_skip"]) for cell in sweep.cells] == [(9, 1), (9, 2)]


def test_name_and_note_are_kept_and_change_no_id(place):
    (plain,) = place.sweep("prompts: [x]").cells

    (named,) = place.sweep("prompts: [{prompt: x, name: SH020, note: for the cover}]").cells

    assert (named.name, named.note, named.coordinates["prompt"]) == ("SH020", "for the cover", "SH020")
    assert named.job.id == plain.job.id


def test_no_seeds_mean_seed_0_and_it_is_said(place):
    sweep = place.sweep("prompts: [x]")

    assert [cell.job.seed for cell in sweep.cells] == [0]
    assert any("seed 0" in note for note in sweep.notes)
    assert not any("seed 0" in note for note in place.sweep("prompts: [{prompt: x, seed: 3}]").notes)


def test_seven_and_seven_point_nought_are_the_same_picture(place):
    (whole,) = place.sweep("prompts: [x]\nset: {guidance_scale: 7}").cells
    (decimal,) = place.sweep("prompts: [x]\nset: {guidance_scale: 7.0}").cells

    assert whole.job.id == decimal.job.id


def test_hostile_prompts_reach_the_job_as_they_are(place, hostile_prompts, confs):
    from_file = place.sweep(manifest_text({"prompts": list(hostile_prompts)}))
    from_words = expand(adhoc(), {"prompt": hostile_prompts}, confs)

    assert [cell.job.text.prompt for cell in from_file.cells] == list(hostile_prompts)
    assert [cell.job.text.prompt for cell in from_words.cells] == list(hostile_prompts)


def test_twenty_billion_cells_are_counted_and_refused(place, confs):
    axes = "sweep: {steps: 1..1000, clip_skip: 1..12}"

    with pytest.raises(UsageError, match=r"m\.yaml: 240,000,000,000,000 cells .* --max-jobs"):
        place.sweep(f"prompts: [x]\nseeds: 0..19999999999\n{axes}")
    assert confs.resolved == []


def test_the_limit_can_be_raised_and_lowered(place):
    assert place.sweep("prompts: [x]\nseeds: 0..9", limit=10).count == 10
    with pytest.raises(UsageError, match="10 cells are asked for, more than 9"):
        place.sweep("prompts: [x]\nseeds: 0..9", limit=9)


def test_a_model_is_looked_for_once_and_only_if_it_is_used(place, confs):
    place.sweep("prompts: [a, b]\nseeds: 0..3\nsweep: {model: [small, large, absent]}\nexclude: [{model: absent}]")

    assert confs.resolved == ["small", "large"]


def test_what_a_model_cannot_do_is_said_before_any_model_is_looked_for(place, confs):
    with pytest.raises(ModelError, match=r"m\.yaml:2: width 63 is no multiple of 8"):
        place.sweep("prompts: [x]\nset: {width: 63, model: absent}")
    assert confs.resolved == []


def test_excluded_cells_need_not_be_possible(place):
    sweep = place.sweep("""
        prompts: [x]
        sweep: {model: [small, flow], sampler: [euler, lcm]}
        set: {schedule: simple}
        exclude: [{model: flow, sampler: lcm}]
    """)

    assert (sweep.count, sweep.excluded) == (3, 1)


WRONG = {
    "an unknown field": ("prompts: [x]\nset:\n  stepz: 3", 3, "did you mean 'steps'"),
    "an alias": ("prompts: [x]\nset:\n  cfg: 3", 3, "here it is 'guidance_scale'"),
    "batch_size": ("prompts: [x]\nset: {batch_size: 4}", 2, "seed"),
    "batch_size as an axis": ("prompts: [x]\nsweep: {batch_size: [4]}", 2, "seed"),
    "a runtime setting": ("prompts: [x]\nset: {device: cpu}", 2, "runtime.device="),
    "steps 0": ("prompts: [x]\nset: {steps: 0}", 2, "steps: must be greater than or equal to 1, not 0"),
    "steps as a text": ("prompts: [x]\nset: {steps: '4'}", 2, "steps: must be a valid integer, not '4'"),
    "a boolean as steps": ("prompts: [x]\nset: {steps: true}", 2, "steps"),
    "a seed in set": ("prompts: [x]\nset: {seed: -1}", 2, "write `seeds:`"),
    "an unknown sampler": ("prompts: [x]\nset: {sampler: eular}", 2, "did you mean 'euler'"),
    "a sampler of another program": ("prompts: [x]\nset: {sampler: DPM++ 2M Karras}", 2, "schedule: karras"),
    "a sampler that is a number": ("prompts: [x]\nset: {sampler: 7}", 2, "unknown sampler '7'"),
    "an unknown schedule": ("prompts: [x]\nset: {schedule: karas}", 2, "did you mean 'karras'"),
    "an unknown model": ("prompts: [x]\nset: {model: smal}", 2, "did you mean 'small'"),
    "a model outside conf": ("prompts: [x]\nset: {model: ../../x}", 2, "unknown model '../../x'"),
    "an absent model": ("prompts: [x]\nset: {model: absent}", 2, "absent"),
    "a model that recommends nothing": ("prompts: [x]\nset: {model: bare}", 2, "width: said nowhere"),
    "a size of one number": ("prompts: [x]\nset: {size: 64}", 2, "such as 64x96"),
    "a size out of range": ("prompts: [x]\nset: {size: 64x99999}", 2, "height"),
    "size beside width": ("prompts: [x]\nset: {size: 64x64, width: 64}", 2, "both size and width"),
    "width no multiple": ("prompts: [x]\nsweep:\n  width: [64, 63]", 3, "width 63 is no multiple of 8"),
    "an entry's width no multiple": ("prompts:\n- {prompt: x, width: 63}", 2, "width 63"),
    "a sampler for another kind": ("prompts: [x]\nset: {model: flow}\nsweep: {sampler: [lcm]}", 3, "flow-matching"),
    "too few steps": ("prompts: [x]\nset: {sampler: ddim}\nsweep: {steps: [1]}", 3, "at least 2"),
    "two axes for one field": ("prompts: [x]\nsweep: {width: [64], size: [64x64]}", 2, "'width' is set by two axes"),
    "an axis and a bundle for one field": (
        "prompts: [x]\nsweep: {steps: [4]}\nbundles: {look: {a: {steps: 5}}}", 3, "'steps' is set by two axes",
    ),
    "an axis named as a bundle": (
        "prompts: [x]\nsweep: {look: [4]}\nbundles: {look: {a: {steps: 5}}}", 2, "both an axis",
    ),
    "a value twice": ("prompts: [x]\nsweep: {steps: [4, 8, 4]}", 2, "steps: 4 is there twice"),
    "a value twice, typed otherwise": ("prompts: [x]\nsweep: {guidance_scale: [7, 7.0]}", 2, "7 is there twice"),
    "a value twice through a range": ("prompts: [x]\nsweep: {steps: [4..8/4, 8]}", 2, "steps: 8 is there twice"),
    "a range that does not end": ("prompts: [x]\nsweep: {steps: 4..21/8}", 2, "the last before it is 20"),
    "zip of different lengths": (
        "prompts: [x]\nsweep: {steps: [4, 8], width: [64]}\nzip: [[steps, width]]", 3, "steps has 2, width has 1",
    ),
    "zip of no axis": ("prompts: [x]\nsweep: {steps: [4]}\nzip: [[steps, stepz]]", 3, "did you mean 'steps'"),
    "an unused variable": ("prompts: [x]\nsweep: {colour: [red]}", 2, "no template uses ${colour}"),
    "an undefined variable": ("prompts:\n- {template: '${color}'}\nsweep: {colour: [red]}", 2, "did you mean 'colour'"),
    "a variable without any axis": ("prompts:\n- {template: '${color}'}", 2, "there is no axis 'color'"),
    "a field as a variable": ("prompts:\n- {template: '${steps}'}", 2, "is a recipe field"),
    "a variable in some options": (
        "prompts:\n- {template: '${c}'}\nbundles: {look: {a: {c: red}, b: {steps: 3}}}", 2, "some options",
    ),
    "another spelling of a field": ("prompts: [x]\nsweep: {vae.tiling: [on]}", 2, "here it is 'vae_tiling'"),
    "a variable with a strange name": ("prompts: [x]\nsweep: {a b: [red]}", 2, "no name for a prompt variable"),
    "an unknown field of an entry": ("prompts:\n- {prompt: x, sed: 3}", 2, "did you mean 'seed'"),
    "a variable of a plain prompt": ("prompts:\n- {prompt: x, colour: red}", 2, "unknown field 'colour'"),
    "an unknown option": ("prompts:\n- {prompt: x, look: b}\nbundles: {look: {a: {steps: 3}}}", 2, "option of look"),
    "half a size beside sizes": ("prompts:\n- {prompt: x, width: 64}\nsweep: {size: [64x64]}", 2, "write size"),
    "a seed too large": ("prompts: [x]\nseeds: 18446744073709551616", 2, "0 to 18446744073709551615"),
    "a seed in scientific notation": ("prompts: [x]\nseeds: 1e3", 2, "'1e3'"),
    "an entry's seed of -1": ("prompts:\n- {prompt: x, seed: -1}", 2, "random seed"),
    "an unknown name in exclude": ("prompts: [x]\nexclude:\n- {stepz: 3}", 3, "did you mean 'steps'"),
    "a broken comparison": ("prompts: [x]\nexclude: [{steps: '>a'}]", 2, "such as '>12'"),
    "everything excluded": ("prompts: [x]\nexclude: [{steps: '>1'}]", 2, "nothing to make"),
    "compare by no axis": ("prompts: [x]\ncompare: {x: steps}", 2, "unknown axis 'steps'"),
    "compare against no axis": ("prompts: [x]\ncompare: {against: {step: 3}}", 2, "against: unknown axis 'step'"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "instead"), [("seed", "--seeds"), ("prompt", "--prompt")])
def test_conf_cannot_set_a_seed_or_prompt_that_nothing_would_read(place, confs, name, instead):
    confs.recipe[name] = None
    assert place.sweep("prompts: [x]").count == 1

    confs.recipe[name] = 7
    with pytest.raises(ConfError, match=rf"^conf/job\.yaml: {name}: [^\n]*`{name}s:`[^\n]*{instead}$"):
        place.sweep("prompts: [x]")


@pytest.mark.parametrize(("text", "line", "reason"), WRONG.values(), ids=WRONG)
def test_wrong_words_name_their_line_and_what_is_right(place, text, line, reason):
    with pytest.raises(UsageError, match=r"^[^\n]*$") as caught:
        place.sweep(text)

    assert reason in caught.value.message
    assert caught.value.where.endswith(f"m.yaml:{line}")
    assert caught.value.exit_code == 2


def test_a_manifest_without_prompts_says_how_to_give_one(place):
    with pytest.raises(ManifestError, match="--prompt"):
        place.sweep("set: {steps: 3}")


def test_what_overrules_a_recommendation_is_told(place):
    warnings = place.sweep("prompts: [x]\nset: {guidance_scale: 9}\nsweep: {steps: [4, 8]}").overruled

    assert warnings == (
        "steps 4, 8: model 'small' recommends 20",
        "guidance_scale 9: model 'small' recommends 4",
    )
    assert place.sweep("prompts: [x]\nsweep: {steps: [4, 20]}").overruled == ()
