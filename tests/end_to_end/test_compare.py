"""`batchgen compare`, and what a run leaves when it ends."""

import csv
import json
import re
import shutil
import sys
from pathlib import Path
from urllib.parse import unquote

import pytest

MANIFEST = """
name: night
set: {model: demo_shapes, schedule: simple}
prompts: [a red circle on a blue background]
seeds: 0..1
sweep:
  sampler: [euler, ddim, dpmpp_2m]
  steps: [3, 6, 9]
compare: {x: steps, y: sampler}
"""


def told(page: Path):
    text = (page / "data.js").read_text()
    return json.loads(json.loads(text.partition("JSON.parse(")[2].rpartition(");")[0]))


def rows(run: Path):
    with (run / "compare.csv").open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def column(data, name):
    return next(each for each in data["columns"] if each["name"] == name)["numbers"]


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, person_in):
    """Eighteen real pictures."""
    person = person_in(tmp_path_factory.mktemp("rendered"))
    person.writes("night.yaml", MANIFEST)
    said = person.types("run", "night.yaml")
    assert said.code == 0, said.err
    return person.folder, said


def test_a_run_leaves_a_page_sheets_charts_and_a_table_and_says_where(rendered):
    folder, said = rendered
    run = folder / "outputs/night"

    assert "outputs/night/gallery/index.html" in said.out
    assert (run / "gallery/index.html").is_file()
    assert len(rows(run)) == 18
    assert list((run / "sheets").rglob("*.png"))
    assert json.loads((run / "summary.json").read_text())["gallery"] == "gallery/index.html"


def test_each_picture_is_measured_against_the_one_with_most_steps(rendered):
    folder, _ = rendered
    data = told(folder / "outputs/night/gallery")
    steps, sampler, seed = (next(a for a in data["axes"] if a["name"] == n) for n in ("steps", "sampler", "seed"))

    for cell, of in enumerate(data["reference"]["of"]):
        if steps["at"][cell] == 2:
            assert of == -1
        else:
            assert steps["at"][of] == 2
            assert (sampler["at"][of], seed["at"][of]) == (sampler["at"][cell], seed["at"][cell])
    psnr = column(data, "psnr")
    nearer = [psnr[cell] for cell in range(18) if steps["at"][cell] == 1]
    farther = [psnr[cell] for cell in range(18) if steps["at"][cell] == 0]
    assert sum(nearer) > sum(farther)


def test_ddim_is_found_to_be_euler(rendered):
    folder, _ = rendered
    data = told(folder / "outputs/night/gallery")

    assert any("ddim" in each and "euler" in each for each in data["findings"])
    sampler = next(a for a in data["axes"] if a["name"] == "sampler")["at"]
    for cell in range(18):
        alike = [other for other in range(18) if data["same"][other] == data["same"][cell] >= 0]
        assert sorted(sampler[other] for other in alike) == ([] if sampler[cell] == 2 else [0, 1])


def test_comparing_again_needs_neither_torch_nor_the_model(rendered, person_in, without_torch, tmp_path):
    poison, mark = without_torch
    shutil.copytree(rendered[0] / "outputs/night", tmp_path / "moved")
    for name in ("settings.yaml", "compare.csv"):
        (tmp_path / "moved" / name).unlink()

    said = person_in(tmp_path).types("compare", "moved", **poison)

    assert said.code == 0, said.err
    assert not mark.exists()
    assert len(rows(tmp_path / "moved")) == 18


def test_a_second_run_with_nothing_to_do_says_the_same_places_and_draws_nothing(rendered, person_in):
    folder, first = rendered
    files = [path for path in (folder / "outputs/night").rglob("*") if path.is_file() and ".batchgen" not in path.parts]
    before = {path: path.stat().st_ino for path in files if path.name != "summary.json"}

    said = person_in(folder).types("run", "night.yaml")

    assert "nothing to do" in said.out
    assert said.out.splitlines()[1] == first.out.splitlines()[-1]
    assert {path: path.stat().st_ino for path in before} == before


def test_one_picture_may_be_the_reference_of_all(rendered, person_in):
    folder, _ = rendered
    best = next(
        each for each in rows(folder / "outputs/night") if each["sampler"] == "dpmpp_2m" and each["steps"] == "9"
    )

    said = person_in(folder).types("compare", "outputs/night", "--against", best["id"][:10])

    assert said.code == 0, said.err
    of = told(folder / "outputs/night/gallery")["reference"]["of"]
    assert len(set(of) - {-1}) == 1
    assert of.count(-1) == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--x", "stepz"], "--x: unknown axis 'stepz'; did you mean 'steps'?"),
        (["--against", "sampler=heun"], "--against: unknown sampler 'heun'"),
        (["--against", "stepz=max"], "did you mean 'steps'?"),
        (["--x", "steps", "--y", "steps"], "are different axes"),
        (["--no-grid", "--x", "steps"], "without a grid"),
        (["--small"], "--small: goes with --into"),
        (["steps=4"], "a comparison renders nothing"),
        (["output.shets=false"], "did you mean 'sheets'?"),
    ],
)
def test_a_wrong_word_is_answered_in_one_line_and_changes_nothing(rendered, person_in, words, message):
    folder, _ = rendered
    before = (folder / "outputs/night/gallery/data.js").read_bytes()

    said = person_in(folder).types("compare", "outputs/night", *words)

    assert said.code == 2
    assert len(said.err.strip().splitlines()) == 1
    assert message in said.err
    assert (folder / "outputs/night/gallery/data.js").read_bytes() == before


def test_without_a_grid_there_is_one_sheet_of_all_in_the_format_that_is_said(rendered, person_in):
    folder, _ = rendered

    said = person_in(folder).types("compare", "outputs/night", "--no-grid", "--columns", "6", "--format", "webp")

    assert said.code == 0, said.err
    assert told(folder / "outputs/night/gallery")["compare"]["grid"] is False
    assert [path.name for path in (folder / "outputs/night/sheets").iterdir() if path.is_file()] == ["night.webp"]


def test_two_runs_of_one_manifest_stand_beside_one_another_picture_by_picture(rendered, person_in):
    folder, _ = rendered
    person = person_in(folder)
    person.types("run", "night.yaml", "--into", "outputs/again", "runtime.threads=1")

    said = person.types("compare", "outputs/night", "outputs/again")
    refused = person.types("compare", "outputs/night", "outputs/again", "--against", "steps=max")

    assert said.code == 0, said.err
    assert said.out.startswith("18 pictures in both")
    data = told(folder / "outputs/night_vs_again/gallery")
    assert (data["count"], data["runs"], data["compare"]["x"]) == (36, 2, "run")
    assert len(set(data["id"])) == 36
    for cell, of in enumerate(data["reference"]["of"]):
        assert of == (-1 if cell < 18 else data["id"].index(data["id"][cell].removesuffix("~2")))
    assert (refused.code, "measured against its like" in refused.err) == (2, True)


def test_a_folder_that_is_no_run_is_refused(person):
    (person.folder / "holiday").mkdir()

    said = person.types("compare", "holiday")

    assert (said.code, said.err) == (2, "batchgen: holiday: no run directory\n")


def test_a_gallery_for_others_stands_alone(rendered, person_in, tmp_path):
    folder, _ = rendered

    said = person_in(folder).types("compare", "outputs/night", "--into", str(tmp_path / "for_anna"))
    small = person_in(folder).types("compare", "outputs/night", "--into", str(tmp_path / "mail"), "--small")

    assert (said.code, small.code) == (0, 0), said.err + small.err
    for address in told(tmp_path / "for_anna")["picture"]:
        assert (tmp_path / "for_anna" / unquote(address)).is_file()
    data = told(tmp_path / "mail")
    assert data["small"]
    assert all(address.startswith("data:image/webp") for address in data["thumb"])
    assert not list((tmp_path / "mail").rglob("*.png"))
    assert str(folder) not in (tmp_path / "mail/data.js").read_text()


def test_compare_false_makes_pictures_only_and_the_command_still_compares(person):
    person.writes("queue.yaml", MANIFEST.replace("compare: {x: steps, y: sampler}", "compare: false"))

    ran = person.types("run", "queue.yaml", "runtime.engine=fake")
    run = person.folder / "outputs/night"
    before = {path.name for path in run.iterdir()}
    said = person.types("compare", "outputs/night")

    assert ran.code == 0, ran.err
    assert not before & {"gallery", "sheets", "compare.csv"}
    assert said.code == 0, said.err
    assert {"gallery", "sheets", "compare.csv"} <= {path.name for path in run.iterdir()}


def test_failed_places_are_shown_with_their_reason(person):
    person.writes("night.yaml", MANIFEST)
    faults = json.dumps({"faults": [{"do": "error", "seed": 1}]})

    ran = person.types("run", "night.yaml", "runtime.engine=fake", BATCHGEN_FAKE_FAULTS=faults)

    assert ran.code == 1
    data = told(person.folder / "outputs/night/gallery")
    seed = next(axis for axis in data["axes"] if axis["name"] == "seed")["at"]
    for cell, state in enumerate(data["state"]):
        assert data["states"][state] == ("failed" if seed[cell] == 1 else "made")
        assert (str(cell) in data["reasons"]) == (seed[cell] == 1)


def test_a_run_that_is_stopped_early_shows_what_is_missing(person):
    person.writes("night.yaml", MANIFEST)

    person.types("run", "night.yaml", "runtime.engine=fake", "--limit", "4")

    data = told(person.folder / "outputs/night/gallery")
    assert [data["states"][number] for number in data["state"]].count("missing") == 14
    assert [each["state"] for each in rows(person.folder / "outputs/night")].count("made") == 4


JUDGE = """
import json, sys
from PIL import Image
for line in sys.stdin:
    asked = json.loads(line)
    with Image.open(asked["path"]) as picture:
        print(json.dumps({"red": sum(pixel[0] for pixel in picture.get_flattened_data()) / 4096}), flush=True)
"""


def test_a_program_of_ones_own_adds_a_column(rendered, person_in):
    folder, _ = rendered
    person = person_in(folder)
    person.writes("judge.py", JUDGE)

    said = person.types("compare", "outputs/night", f"output.metrics=[{sys.executable},judge.py]")

    assert said.code == 0, said.err
    assert all(0 <= number <= 255 for number in column(told(folder / "outputs/night/gallery"), "red"))
    assert all(float(each["red"]) >= 0 for each in rows(folder / "outputs/night"))


def test_a_program_named_by_a_run_directory_is_not_started(rendered, person_in, tmp_path):
    shutil.copytree(rendered[0] / "outputs/night", tmp_path / "gift")
    person = person_in(tmp_path)
    mark = tmp_path / "started"
    person.writes("trap.sh", f"#!/bin/sh\ntouch {mark}\n").chmod(0o755)
    settings = tmp_path / "gift/settings.yaml"
    settings.write_text(settings.read_text().replace("output:\n", f"output:\n  metrics: [{tmp_path}/trap.sh]\n"))

    said = person.types("compare", "gift")
    again = person.types("run", "gift")

    assert said.code == 0, said.err
    assert again.code == 0, again.err
    assert not mark.exists()


def test_a_reference_that_no_place_can_be_is_refused_before_anything_is_rendered(person):
    text = MANIFEST.replace("{x: steps, y: sampler}", "{x: steps, y: sampler, against: {steps: 8}}")
    person.writes("night.yaml", text)

    said = person.types("run", "night.yaml", "runtime.engine=fake")

    assert said.code == 2
    assert re.match(r"batchgen: night\.yaml:9: (compare\.against: )?unknown steps '8'", said.err), said.err
    assert not (person.folder / "outputs").exists()


def test_a_picture_that_is_not_there_when_a_run_ends_costs_the_measure_alone(person):
    text = MANIFEST.replace("{x: steps, y: sampler}", "{x: steps, y: sampler, against: nobody.png}")
    person.writes("night.yaml", text)

    said = person.types("run", "night.yaml", "runtime.engine=fake")

    assert said.code == 0, said.err
    assert "warning: compare.against: 'nobody.png'" in said.err
    assert (person.folder / "outputs/night/gallery/index.html").is_file()
