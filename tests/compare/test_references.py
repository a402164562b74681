import itertools
from dataclasses import replace
from pathlib import Path

import pytest

from batchgen.compare.references import read_against, references
from batchgen.compare.results import Result, Results
from batchgen.errors import UsageError

AXES = {"prompt": ("a circle", "a star"), "sampler": ("euler", "heun"), "steps": (4, 12, 30), "seed": (0, 1)}


def run_of(axes, *, without=lambda _: False):
    every = (dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values()))
    places = tuple(
        Result(
            coordinates=at,
            id=f"{number:04x}{'0' * 60}",
            state="made",
            prompt="",
            picture=Path(f"{'-'.join(map(str, at.values()))}.png"),
        )
        for number, at in enumerate(at for at in every if not without(at))
    )
    return Results(name="run", axes=axes, places=places, environments={})


def measured(results, said):
    """Coordinates of each place and of what it is measured against."""
    of = references(results, read_against(said, results))
    places = [each.coordinates for each in results.places]
    return [(at, places[number] if number >= 0 else None) for at, number in zip(places, of, strict=True)]


@pytest.mark.parametrize("said", [None, "steps=max", {"steps": "max"}, "steps=30", {"steps": 30}, {"steps": "30"}])
def test_a_picture_is_measured_against_the_one_with_the_most_steps_and_all_else_equal(said):
    for at, reference in measured(run_of(AXES), said):
        assert reference == (None if at["steps"] == 30 else at | {"steps": 30})


def test_a_reference_may_be_of_another_sampler():
    for at, reference in measured(run_of(AXES), "sampler=heun,steps=30"):
        own = at["sampler"] == "heun" and at["steps"] == 30
        assert reference == (None if own else at | {"sampler": "heun", "steps": 30})


def test_the_fewest_steps_may_be_asked_for_too():
    assert all(at["steps"] == 4 or of["steps"] == 4 for at, of in measured(run_of(AXES), "steps=min"))


@pytest.mark.parametrize("said", ["000b", "000b000", "a circle-heun-30-1.png", "a circle-heun-30-1"])
def test_one_picture_may_be_the_reference_of_all(said):
    results = run_of(AXES)

    of = references(results, read_against(said, results))

    assert of == tuple(-1 if number == 11 else 11 for number in range(24))


def test_a_file_with_an_equals_sign_is_a_file():
    results = run_of({"prompt": ("steps=12",), "steps": (4, 30)})

    assert references(results, read_against("steps=12-4.png", results)) == (-1, 0)


def test_where_the_most_steps_were_left_out_the_most_that_there_are_count():
    results = run_of(AXES, without=lambda at: at["sampler"] == "heun" and at["steps"] == 30)

    found = [of for at, of in measured(results, None) if at["sampler"] == "heun" and at["steps"] == 4]

    assert [of["steps"] for of in found] == [12] * 4


def test_an_axis_that_only_goes_with_steps_may_differ():
    axes = AXES | {"guidance_scale": (1.0, 2.0, 3.0)}
    results = run_of(axes, without=lambda at: (4, 12, 30).index(at["steps"]) + 1 != at["guidance_scale"])

    for at, reference in measured(results, None):
        assert reference == (None if at["steps"] == 30 else at | {"steps": 30, "guidance_scale": 3.0})


def test_nothing_is_measured_where_steps_do_not_vary():
    results = run_of({"prompt": ("a circle",), "sampler": ("euler", "heun"), "steps": (30,)})

    assert read_against(None, results) is None
    assert references(results, None) == (-1, -1)


def test_an_axis_may_leave_a_prompt_alone():
    results = run_of(AXES | {"steps": (4, 30, None)})

    for at, reference in measured(results, None):
        assert reference == (None if at["steps"] == 30 else at | {"steps": 30})


@pytest.mark.parametrize(
    ("said", "text"),
    [
        ("steps=max", "steps 30 of the same prompt, sampler and seed"),
        ("sampler=heun,steps=30", "sampler heun, steps 30 of the same prompt and seed"),
        ("000b", "the picture a circle-heun-30-1.png"),
    ],
)
def test_people_are_told_what_the_reference_is(said, text):
    assert read_against(said, run_of(AXES)).text == text


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("step=30", "unknown axis 'step'; did you mean 'steps'?"),
        ("sampler=hein", "unknown sampler 'hein'; did you mean 'heun'?"),
        ("steps=20", "unknown steps '20'"),
        ("sampler=max", "unknown sampler 'max'"),
        ("ffff", "'ffff' is no AXIS=VALUE, no picture's file and no id's first digits (at least 4)"),
        ("000", "'000' is no AXIS=VALUE, no picture's file and no id's first digits (at least 4)"),
        ("a circle-hein-30-1.png", "did you mean 'a circle-heun-30-1.png'?"),
        ("", "'' is no AXIS=VALUE"),
        ({}, "says nothing"),
    ],
)
def test_what_is_not_there_is_refused_with_the_nearest_name(said, message):
    with pytest.raises(UsageError) as error:
        read_against(said, run_of(AXES))

    assert str(error.value).startswith("--against: ")
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_id_of_several_is_refused():
    results = run_of(AXES)
    alike = tuple(replace(each, id=f"beef{each.id[:4]}{'0' * 56}") for each in results.places)

    with pytest.raises(UsageError, match="24 pictures have an id that begins with 'beef'; write more digits"):
        read_against("beef", replace(results, places=alike))
    assert read_against("beef000b", replace(results, places=alike)).place == 11


def test_a_long_axis_is_not_listed():
    with pytest.raises(UsageError, match=r"no seed '10000' in this run, which has 1,000 of them: 0 \.\.\. 999$"):
        read_against("seed=10000", run_of({"prompt": ("a",), "seed": range(1000)}))
