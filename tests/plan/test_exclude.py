import pytest

from batchgen.errors import ManifestError

SWEEP = """
    prompts: [x, y]
    sweep: {{sampler: [euler, ddim, heun], steps: [4, 8, 12, 20], guidance_scale: [1, 2.5]}}
    exclude: {}
"""


def left(place, exclude):
    sweep = place.sweep(SWEEP.format(exclude))
    assert sweep.count + sweep.excluded == sweep.product
    return {(cell.coordinates["sampler"], cell.coordinates["steps"]) for cell in sweep.cells}


ALL = {(sampler, steps) for sampler in ("euler", "ddim", "heun") for steps in (4, 8, 12, 20)}


@pytest.mark.parametrize(
    ("exclude", "gone"),
    [
        ("[{sampler: ddim}]", lambda sampler, _: sampler == "ddim"),
        ("[{sampler: [ddim, heun], steps: '>12'}]", lambda sampler, steps: sampler != "euler" and steps > 12),
        ("[{sampler: ddim}, {steps: 4}]", lambda sampler, steps: sampler == "ddim" or steps == 4),
        ("[{steps: '>=12'}]", lambda _, steps: steps >= 12),
        ("[{steps: '< 12'}]", lambda _, steps: steps < 12),
        ("[{steps: '<=12'}]", lambda _, steps: steps <= 12),
        ("[{steps: '!=12'}]", lambda _, steps: steps != 12),
        ("[{steps: '!=12.0'}]", lambda _, steps: steps != 12),
        ("[{sampler: '!=euler'}]", lambda sampler, _: sampler != "euler"),
        ("[{sampler: '!= euler', steps: '>4'}]", lambda sampler, steps: sampler != "euler" and steps > 4),
        ("[{model: '!=small'}, {precision: '!=auto'}, {steps: 4}]", lambda _, steps: steps == 4),
        ("[{steps: ['<8', 20]}]", lambda _, steps: steps in (4, 20)),
        ("[{prompt: [x, y], steps: 4}]", lambda _, steps: steps == 4),
        ("[{width: 64, steps: 4}]", lambda _, steps: steps == 4),
        ("[{model: small, steps: 4}]", lambda _, steps: steps == 4),
    ],
)
def test_what_meets_every_part_of_one_item_is_left_out(place, exclude, gone):
    assert left(place, exclude) == {each for each in ALL if not gone(*each)}


def test_numbers_are_equal_however_they_are_written(place):
    sweep = place.sweep(SWEEP.format("[{guidance_scale: 1.0}]"))

    assert {cell.coordinates["guidance_scale"] for cell in sweep.cells} == {2.5}


def test_one_prompt_can_be_left_out_of_a_part_of_the_sweep(place):
    sweep = place.sweep(SWEEP.format("[{prompt: y, steps: '>4'}]"))

    assert {cell.coordinates["steps"] for cell in sweep.cells if cell.coordinates["prompt"] == "y"} == {4}


@pytest.mark.parametrize(
    ("exclude", "warned"),
    [
        ("[{sampler: [ddim, lms]}]", ["no cell has sampler lms"]),
        ("[{sampler: lms, steps: 5}]", ["no cell has sampler lms", "no cell has steps 5"]),
        ("[{steps: '>20'}]", ["no cell has steps >20"]),
        ("[{model: '!=small'}]", ["no cell has model !=small"]),
        ("[{sampler: '!=lms', steps: 4}]", ["no cell has sampler lms"]),
        ("[{sampler: '!=euler', steps: '!=4.0'}]", []),
        ("[{sampler: ddim, steps: '>12'}]", []),
    ],
)
def test_a_condition_that_nothing_meets_is_warned_about(place, exclude, warned):
    found = [each for each in place.sweep(SWEEP.format(exclude)).warnings if "exclude" in each]

    assert [each.split("exclude: ")[1] for each in found] == warned
    assert all("m.yaml:" in each for each in found)


def test_every_value_but_one_leaves_alone_what_the_axis_does_not_touch(place):
    sweep = place.sweep("""
        prompts: [x, {template: "a ${n} circle"}]
        sweep: {n: [1, 2]}
        exclude: [{n: "!=1"}]
    """)

    assert [cell.job.text.prompt for cell in sweep.cells] == ["x", "a 1 circle"]


def test_but_needs_a_word_behind_it(place):
    with pytest.raises(ManifestError, match=r"m\.yaml:4: exclude: nothing stands behind '!='"):
        place.sweep(SWEEP.format("[{sampler: '!= '}]"))


@pytest.mark.parametrize(
    ("exclude", "said"),
    [
        ("[{sampler: eulr}]", "unknown sampler 'eulr'; did you mean 'euler'?"),
        ("[{sampler: '!=eulr', steps: 4}]", "unknown sampler 'eulr'; did you mean 'euler'?"),
        ("[{sampler: Euler a}]", "here it is sampler: euler_ancestral"),
        ("[{schedule: karas}]", "did you mean 'karras'?"),
        ("[{model: smal}]", "did you mean 'small'?"),
        ("[{steps: '=>12'}]", "steps: must be a valid integer, not '=>12'; comparisons are written '>12'"),
        ("[{steps: '12+'}]", "not '12+'; comparisons are written '>12'"),
        ("[{steps: 2.5}]", "steps: must be a valid integer"),
        ("[{steps: 0}]", "steps: must be greater than or equal to 1"),
        ("[{steps: '!=x'}]", "steps: must be a valid integer, not 'x'"),
        ("[{sampler: '>12'}]", "sampler is no number to compare; name its values, or '!=VALUE'"),
    ],
)
def test_a_value_that_a_field_can_never_have_is_an_error_that_says_what_is_right(place, exclude, said):
    with pytest.raises(ManifestError, match=r"m\.yaml:4: exclude: [^\n]*$") as caught:
        place.sweep(SWEEP.format(exclude))

    assert said in caught.value.message


@pytest.mark.parametrize("written", ["'12'", "12.0", "'12.0'", "'>=12'"])
def test_a_number_may_be_excluded_however_it_is_written(place, written):
    assert ("euler", 12) not in left(place, f"[{{steps: {written}}}]")
