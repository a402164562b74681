"""The main job on the embedded model: a sweep is rendered, resumed, changed."""

import json
import shutil
from pathlib import Path

import pytest
from PIL import Image

from batchgen.demo.judge import judge
from batchgen.shipped import shipped_model
from batchgen.store import images

SWEEP = """\
set: {model: demo_shapes, schedule: simple}
prompts:
- a red circle on a white background
- {prompt: a large blue square on a yellow background, name: cover, note: for the front}
seeds: 0..1
sweep:
  sampler: [euler, dpmpp_2m]
  steps: [4, 20]
compare: {x: steps, y: sampler, page: prompt}
"""


@pytest.fixture(scope="module")
def rendered(tmp_path_factory, person_in):
    person = person_in(tmp_path_factory.mktemp("person"))
    person.writes("sweep.yaml", SWEEP)
    said = person.types("run", "sweep.yaml")
    assert said.code == 0, said.err
    return person, said


def test_every_combination_has_its_picture_and_its_record(rendered):
    person, said = rendered

    assert len(person.pictures("outputs/sweep")) == 16
    asked = {
        (r["recipe"]["prompt"][:5], r["recipe"]["seed"], r["recipe"]["sampler"], r["recipe"]["steps"])
        for r in person.records("outputs/sweep")
    }
    assert len(asked) == 16
    assert "16 pictures made" in said.out


def test_the_pictures_of_twenty_steps_follow_their_prompts(rendered):
    person, _ = rendered
    right = []
    for path in person.pictures("outputs/sweep"):
        recipe = images.record_in(path)["recipe"]
        if recipe["steps"] == 20:
            with Image.open(path) as picture:
                verdict = judge(picture)
            wanted = ("red", "circle", "white") if "red" in recipe["prompt"] else ("blue", "square", "yellow")
            right.append((verdict.foreground, verdict.shape, verdict.background) == wanted)

    assert len(right) == 8
    assert sum(right) >= 7


def test_the_record_in_the_picture_and_the_one_beside_it_are_the_same_bytes(rendered):
    person, _ = rendered
    for path in person.pictures("outputs/sweep"):
        inside = images.open_picture(path).record
        beside = person.folder / "outputs/sweep/records" / f"{json.loads(inside)['id'][:12]}.json"

        assert beside.read_text(encoding="utf-8") == inside


def test_the_record_holds_the_hash_of_the_pixels_and_how_often_the_denoiser_ran(rendered):
    person, _ = rendered
    for path in person.pictures("outputs/sweep"):
        record = images.record_in(path)

        assert images.pixel_sha256(images.open_picture(path).pixels) == record["output"]["pixel_sha256"]
        assert record["execution"]["denoiser_evaluations"] == record["recipe"]["steps"]


def test_pictures_went_through_the_denoiser_in_batches(rendered):
    person, _ = rendered

    sizes = {record["execution"]["batch_size"] for record in person.records("outputs/sweep")}

    assert max(sizes) > 1


def test_the_name_and_the_note_of_an_entry_are_in_its_records_and_the_name_in_its_files(rendered):
    person, _ = rendered

    named = [record for record in person.records("outputs/sweep") if record["name"] == "cover"]

    assert len(named) == 8
    assert {record["note"] for record in named} == {"for the front"}
    assert sum(path.name.startswith("cover_") for path in person.pictures("outputs/sweep")) == 8


def test_other_tools_find_their_parameters_text_in_the_picture(rendered):
    person, _ = rendered
    path = next(path for path in person.pictures("outputs/sweep") if path.name.startswith("cover_"))

    with Image.open(path) as picture:
        text = picture.text["parameters"]

    assert text.startswith("a large blue square on a yellow background\n")
    assert "Seed: " in text
    assert "Size: 64x64" in text


def test_there_is_a_sheet_for_each_prompt_and_where_they_are_is_printed(rendered):
    person, said = rendered

    sheets = sorted((person.folder / "outputs/sweep/sheets").glob("*.png"))

    assert len(sheets) == 2
    assert "outputs/sweep/sheets (2 sheets) and outputs/sweep/summary.json" in said.out


def test_a_second_run_says_that_nothing_is_to_do_and_no_process_of_it_imports_torch(rendered, without_torch):
    person, _ = rendered
    poison, mark = without_torch

    said = person.types("run", "sweep.yaml", **poison)

    assert said.code == 0, said.err
    assert "nothing to do" in said.out
    assert not mark.exists()


def test_a_run_directory_goes_on_with_its_saved_manifest_whatever_became_of_the_first(copied):
    gone = copied.pictures("outputs/sweep")[3]
    before = images.record_in(gone)
    gone.unlink()
    (copied.folder / "sweep.yaml").write_text("prompts: [something else]\n")

    said = copied.types("run", "outputs/sweep")

    assert said.code == 0, said.err
    assert "1 picture made" in said.out
    assert gone.exists()
    assert images.record_in(gone)["recipe"] == before["recipe"]
    assert images.record_in(gone)["execution"]["batch_size"] == 1


def test_a_changed_prompt_renders_only_that_prompt(copied):
    path = copied.folder / "sweep.yaml"
    path.write_text(path.read_text().replace("a red circle", "a green circle"))

    said = copied.types("run", "sweep.yaml")

    assert said.code == 0, said.err
    assert "8 pictures made" in said.out
    assert len(copied.pictures("outputs/sweep")) == 24


def test_plan_says_why_each_picture_must_be_made_and_what_is_no_longer_asked_for(copied):
    next(path for path in copied.pictures("outputs/sweep") if path.name.startswith("a-red")).unlink()
    path = copied.folder / "sweep.yaml"
    path.write_text(path.read_text().replace("large blue", "large green"))

    said = copied.types("plan", "sweep.yaml", "--json")

    found = json.loads(said.out)
    assert found["asked"] == 16
    assert sorted(job["reason"] for job in found["jobs"]) == ["new"] * 8 + ["picture missing"]
    assert len(found["no_longer_asked_for"]) == 8
    assert found["loads"] == found["load_bound"] == 1
    assert found["estimate"]["seconds"] > 0


@pytest.mark.parametrize(
    "file", ["unet/diffusion_pytorch_model.safetensors", "tokenizer/merges.txt", "scheduler/scheduler_config.json"]
)
def test_a_changed_file_of_the_model_renders_everything_that_used_it(person, file):
    folder = person.folder / "mine"
    shutil.copytree(shipped_model("demo_shapes"), folder)
    person.writes(
        "conf/model/mine.yaml",
        f"family: sd15\nsource: {{folder: {folder}}}\n"
        "recommended: {width: 64, height: 64, steps: 2, guidance_scale: 1.0, sampler: euler, schedule: simple}\n",
    )
    words = ("--prompt", "a red circle", "--seeds", "0..1", "model=mine", "runtime.engine=fake")
    assert person.types("run", *words).code == 0

    unchanged = person.types("run", *words)
    changed_by_a_byte(folder / file)
    changed = person.types("run", *words)

    assert "nothing to do" in unchanged.out
    assert "2 pictures made" in changed.out, changed.err


def changed_by_a_byte(path: Path) -> None:
    data = path.read_bytes()
    # JSON stays JSON with a line feed more; in weights and merges any byte may be another.
    path.write_bytes(data + b"\n" if path.suffix == ".json" else data[:-2] + bytes([data[-2] ^ 1]) + data[-1:])


def test_status_counts_what_is_there_and_what_is_left(copied):
    copied.pictures("outputs/sweep")[0].unlink()

    said = copied.types("status", "outputs/sweep", "--json")

    assert said.code == 1
    found = json.loads(said.out)
    assert (found["asked"], found["made"], found["left"]) == (16, 15, 1)


def test_show_prints_the_record_inside_a_picture(rendered):
    person, _ = rendered
    path = person.pictures("outputs/sweep")[0]

    said = person.types("show", str(path.relative_to(person.folder)))

    assert json.loads(said.out) == dict(images.record_in(path))
