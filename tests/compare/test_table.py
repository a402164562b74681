import csv
import io
import itertools
import math
from pathlib import Path

import pytest

from batchgen.compare.identical import same
from batchgen.compare.metrics import Differences, differences
from batchgen.compare.references import read_against
from batchgen.compare.results import Result, Results, read_results
from batchgen.compare.table import Measured, names, to_text, write_table

ROOT = Path("/somewhere/run")


def place(number=0, /, **facts):
    found = {
        "coordinates": {"prompt": "a circle", "sampler": "euler"},
        "id": f"{number:064x}",
        "state": "made",
        "prompt": "a red circle",
        "picture": ROOT / "pictures" / f"{number}.png",
        "recipe": {"model": "demo", "prompt": "a red circle", "sampler": "euler", "steps": 4, "guidance_scale": 7.0},
    }
    return Result(**(found | facts))


def run_of(*places, axes=None, environments=None):
    axes = axes or {name: tuple({each.coordinates[name] for each in places}) for name in places[0].coordinates}
    return Results(name="run", axes=axes, places=places, environments=environments or {})


def nothing(results):
    count = len(results.places)
    return Measured(
        differences=Differences(reference=(-1,) * count, psnr=(None,) * count, ssim=(None,) * count), same=(-1,) * count
    )


def rows(results, measured=None):
    return list(csv.DictReader(io.StringIO(to_text(results, measured or nothing(results), ROOT))))


def test_a_real_run_has_a_row_a_place_in_the_manifests_order(evening):
    results = read_results(evening)
    found = differences(results, read_against(None, results), evening)

    path = write_table(results, Measured(differences=found, same=same(results)), evening.comparison)

    assert path == evening.root / "compare.csv"
    with path.open(encoding="utf-8", newline="") as file:
        table = list(csv.DictReader(file))
    # As the manifest in conftest.py has them; seeds are the fastest.
    assert [(row["prompt"], row["sampler"], row["steps"], row["seed"]) for row in table] == list(
        itertools.product(("a red circle on a blue background", "star"), ("euler", "ddim"), ("4", "12"), ("0", "1"))
    )
    for row, result in zip(table, results.places, strict=True):
        assert row["id"] == result.id
        assert row["state"] == "made"
        assert (evening.root / row["file"]).is_file()
        assert row["recipe.prompt"] == result.prompt
        assert (row["model"], row["schedule"], row["width"], row["file_width"]) == ("demo_shapes", "simple", "64", "64")
        assert float(row["seconds"]) == result.seconds
        assert len(row["environment"]) == 12
        assert (
            (row["psnr"] != "") == (row["steps"] == "4") == (row["reference"] in {each.id for each in results.places})
        )


def test_numbers_stand_as_a_person_wrote_them():
    (row,) = rows(
        run_of(place(recipe={"steps": 4, "guidance_scale": 7.0, "strength": 0.3, "tiled": True, "seed": 2**64 - 1}))
    )

    assert (row["guidance_scale"], row["strength"], row["tiled"]) == ("7", "0.3", "true")
    assert row["seed"] == "18446744073709551615"


def test_nested_values_are_json():
    loras = [{"name": "ink", "scale": 0.8}]

    (row,) = rows(run_of(place(recipe={"loras": loras, "hires": {"scale": 2.0, "upscaler": "lanczos"}})))

    assert row["loras"] == '[{"name": "ink", "scale": 0.8}]'
    assert row["hires"] == '{"scale": 2.0, "upscaler": "lanczos"}'


def test_a_field_that_says_what_an_axis_says_stands_once():
    found = rows(
        run_of(place(0), place(1, coordinates={"prompt": "a circle", "sampler": "heun"}, recipe={"sampler": "heun"}))
    )

    assert "recipe.sampler" not in found[0]
    assert [row["sampler"] for row in found] == ["euler", "heun"]
    # Of a prompt the axis has a name, and the recipe the whole.
    assert [(row["prompt"], row["recipe.prompt"]) for row in found] == [("a circle", "a red circle")] * 2


def test_axes_of_any_name_keep_their_column():
    axes = {"prompt": "p", "seconds": 3, "file": "x"}

    (row,) = rows(run_of(place(coordinates=axes, seconds=0.5)))

    assert (row["seconds"], row["axis.seconds"], row["axis.file"]) == ("0.5", "3", "x")
    assert row["file"] == "pictures/0.png"


def test_what_is_not_there_is_empty():
    lost = place(1, state="failed", reason="out of memory", picture=None, recipe={})

    first, second = rows(run_of(place(0, evaluations=4), lost))

    assert (second["state"], second["reason"]) == ("failed", "out of memory")
    assert {
        second[name] for name in ("name", "file", "steps", "file_width", "seconds", "evaluations", "psnr", "same_as")
    } == {""}
    assert second["recipe.prompt"] == "a red circle"
    assert first["evaluations"] == "4"


def test_measures_references_groups_and_own_columns_stand_beside_each_picture():
    results = run_of(place(0), place(1), place(2))
    found = Differences(reference=(2, 2, -1), psnr=(math.inf, 31.2345678, None), ssim=(1.0, None, None))

    first, second, third = rows(
        results, Measured(differences=found, same=(0, -1, 0), own={"score": (5.125, None, -1.0)})
    )

    assert (first["psnr"], first["ssim"], first["reference"], first["same_as"]) == (
        "inf",
        "1",
        results.places[2].id,
        "0",
    )
    assert (second["psnr"], second["ssim"], second["same_as"]) == ("31.234568", "", "")
    assert (third["psnr"], third["reference"], third["same_as"]) == ("", "", "0")
    assert [row["score"] for row in (first, second, third)] == ["5.125", "", "-1"]


def test_where_it_was_made_is_said():
    environments = {"ab" * 32: {"device": "cuda", "device_name": "NVIDIA H200"}, "cd" * 32: {"device": "cpu"}}

    found = rows(
        run_of(*(place(n, environment=name) for n, name in enumerate([*environments, ""])), environments=environments)
    )

    assert [(row["environment"], row["device"]) for row in found] == [
        ("abababababab", "NVIDIA H200"),
        ("cdcdcdcdcdcd", "cpu"),
        ("", ""),
    ]


@pytest.mark.parametrize("begins", ["=", "+", "-", "@", "\t", "\r", "\n", "＝"])
def test_no_text_is_a_formula(begins):
    prompt = f'{begins}HYPERLINK("http://x","y")'

    (row,) = rows(run_of(place(prompt=prompt, recipe={"negative_prompt": prompt, "scale": -1.5})))

    assert row["recipe.prompt"] == row["negative_prompt"] == f"'{prompt}"
    assert row["scale"] == "-1.5"


def test_every_prompt_comes_through(hostile_prompts, tmp_path):
    results = run_of(*(place(number, prompt=prompt) for number, prompt in enumerate(hostile_prompts)))

    found = rows(results)

    assert [row["recipe.prompt"].removeprefix("'") for row in found] == [
        prompt.removeprefix("'") for prompt in hostile_prompts
    ]


def test_what_no_text_can_hold_is_replaced(evening):
    results = run_of(place(prompt="a \ud800 half", picture=evening.root / "pictures" / "a.png"))

    path = write_table(results, nothing(results), evening.comparison)

    assert "a ? half" in path.read_text(encoding="utf-8")


def test_a_run_without_a_place_is_a_line_of_names():
    results = Results(name="run", axes={"prompt": ()}, places=(), environments={})

    assert to_text(results, nothing(results), ROOT).startswith("name,id,state,reason,file,prompt,file_width,")


def test_a_file_is_named_as_seen_from_the_table(evening):
    results = read_results(evening)

    path = write_table(results, nothing(results), evening.root / "sheets.csv")

    with path.open(encoding="utf-8", newline="") as file:
        assert all((path.parent / row["file"]).is_file() for row in csv.DictReader(file))


def test_the_names_of_columns_are_those_of_the_table():
    results = run_of(place())

    assert names(results) == set(rows(results)[0])
    assert {"psnr", "ssim", "seconds", "sampler", "steps"} <= names(results)
