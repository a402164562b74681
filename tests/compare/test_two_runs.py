"""Two runs side by side, each made by the real command line on the fake engine or the embedded model."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from batchgen.compare.changes import stray_sentence, strays
from batchgen.compare.layout import Shown, choose, pages
from batchgen.compare.metrics import differences
from batchgen.compare.results import read_results
from batchgen.compare.two_runs import pair, sentences
from batchgen.shipped import shipped_model
from batchgen.store import images
from batchgen.store.layout import RunDirectory

SWEEP = """\
set: {model: demo_shapes}
prompts: [a red circle, a blue star]
seeds: 0..1
sweep: {sampler: [euler, heun], steps: [2, 4]}
"""
LORAS = """\
set: {model: demo_shapes, steps: 1}
prompts: [a red circle]
sweep: {loras: [common, "NAME:0.5", NAME]}
"""


class Folder:
    """A folder in which manifests are written and run."""

    def __init__(self, folder):
        self.folder = folder

    def run(self, into, manifest, *words, engine="fake"):
        """Run a manifest's text into a directory and return what came of it."""
        file = self.folder / f"{into.replace('/', '-')}.yaml"
        file.write_text(manifest, encoding="utf-8")
        quick = f"runtime.engine={engine}", "output.sheets=false", "output.gallery=false"
        command = [sys.executable, "-m", "batchgen", "run", file.name, "--into", into, *quick, *words]
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("BATCHGEN_", "HF_", "XDG_"))}
        clean |= {"HOME": str(self.folder), "HF_HUB_OFFLINE": "1"}
        done = subprocess.run(
            command, cwd=self.folder, env=clean, capture_output=True, text=True, timeout=600, check=False
        )
        assert done.returncode == 0 or "--limit" in words, done.stderr
        return read_results(self.directory(into))

    def directory(self, into):
        return RunDirectory(self.folder / into)


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """A folder in which `SWEEP` was run."""
    folder = Folder(tmp_path_factory.mktemp("two"))
    return folder, folder.run("swept", SWEEP)


def recipes(two):
    places = two.results.places
    return [(places[one].recipe, places[other].recipe) for one, other in two.pairs]


def changes(two):
    return {(each.kind, each.name): (each.before, each.after) for each in two.changed}


def neighbours(two, sides):
    """Return the pictures that stand beside each other, two and two, on pages of which runs are the columns."""
    places = two.results.places
    shown = [Shown(coordinates=each.coordinates, picture=each.picture) for each in places]
    found = pages(shown, two.results.axes, sides)
    assert all(page.columns == two.names for page in found)
    return {tuple(cell and cell.picture for cell in row) for page in found for row in page.cells}


@pytest.fixture(scope="module")
def twice(shared):
    folder, one = shared
    return one, folder.run("again", SWEEP)


def test_the_same_run_twice_is_the_same_to_the_last_bit(twice):
    two = pair(*twice)

    assert two.names == ("swept", "again")
    assert two.pairs == tuple((number, number + 16) for number in range(16))
    assert all(before == after for before, after in recipes(two))
    assert two.identical == two.pairs
    assert two.changed == ()
    assert sentences(two) == (
        "16 pictures in both, all equal to the last bit",
        "nothing that is recorded differs between them",
    )


def test_pairs_stand_beside_each_other_on_pages_and_no_picture_is_left_out(twice):
    two = pair(*twice)

    places = two.results.places
    wanted = {(places[i].picture, places[j].picture) for i, j in two.pairs}
    assert len(wanted) == 16
    assert neighbours(two, two.sides) == wanted
    assert list(two.results.axes) == ["prompt", "sampler", "steps", "run", "seed"]
    shown = [Shown(coordinates=each.coordinates, picture=each.picture) for each in places]
    chosen = pages(shown, two.results.axes, choose(two.results.axes, len(places)))
    assert len({cell.picture for page in chosen for row in page.cells for cell in row if cell}) == 32


@pytest.fixture(scope="module")
def retrained(tmp_path_factory):
    """A run with a LoRA, and one with a LoRA of the same name and other content."""
    folder = Folder(tmp_path_factory.mktemp("retrained"))
    loras = folder.folder / "models/loras"
    loras.mkdir(parents=True)
    save_file(load_file(shipped_model("loras") / "striped.safetensors"), loras / "common.safetensors", {"of": "both"})
    words = (f"paths.models=[{loras.parent}]",)
    found = []
    for run, source in (("before", "striped"), ("after", "outlined")):
        shutil.copy(shipped_model("loras") / f"{source}.safetensors", loras / "my.safetensors")
        found.append(folder.run(run, LORAS.replace("NAME", "my"), *words))
    shutil.copy(loras / "my.safetensors", loras / "mine.safetensors")
    found.append(folder.run("renamed", LORAS.replace("NAME", "mine"), *words))
    return folder, *found


def test_a_lora_that_was_trained_again_meets_its_former_self(retrained):
    _, before, after, _ = retrained

    two = pair(before, after)

    assert [one.id == other.id for one, other in zip(before.places, after.places, strict=True)] == [True, False, False]
    assert len(two.pairs) == 3
    assert all(one == other for one, other in recipes(two))
    first, second = (
        next(digest for name, digest in each.places[1].weights if name == "my") for each in (before, after)
    )
    assert changes(two) == {("weights", "my"): (first[:10], second[:10])}
    assert f"what changed: weights my {first[:10]} -> {second[:10]}" in sentences(two)


def test_a_lora_of_another_name_is_matched_scale_by_scale(retrained):
    _, before, _, renamed = retrained

    two = pair(before, renamed)

    assert [[(each["loras"][0]["name"], each["loras"][0]["scale"]) for each in pair_] for pair_ in recipes(two)] == [
        [("common", 1.0), ("common", 1.0)],
        [("my", 0.5), ("mine", 0.5)],
        [("my", 1.0), ("mine", 1.0)],
    ]
    assert changes(two) == {("recipe", "loras[0].name"): ("my", "mine")}
    places = two.results.places
    assert neighbours(two, two.sides) == {(places[i].picture, places[j].picture) for i, j in two.pairs}


def test_it_is_said_how_far_pictures_are_apart_and_which_the_furthest(retrained):
    folder, before, after, _ = retrained
    two = pair(before, after)
    places, far = two.results.places, {}
    for i, j in two.pairs:
        one, other = (images.open_picture(places[number].picture).pixels.astype(float) for number in (i, j))
        if (one != other).any():
            far[places[j].picture.name] = 10 * np.log10(255**2 / np.mean((one - other) ** 2))
    worst = min(far, key=far.get)

    said = sentences(two, differences(two.results, two.against, folder.directory("before")))

    assert len(far) == 2
    assert said[0].startswith("3 pictures in both, 1 equal to the last bit; the others differ by")
    assert f" {np.median([*far.values()]):.1f} dB, SSIM " in said[0]
    assert said[0].endswith(f" in the median (worst {far[worst]:.1f} dB: {worst})")


def test_what_is_one_value_in_each_run_is_what_they_are_compared_for(folder):
    one = folder.run("few", SWEEP, "steps=2", "sampler=euler")
    other = folder.run("many", SWEEP, "steps=30", "sampler=euler")

    two = pair(one, other)

    assert len(two.pairs) == 4
    assert [(a["prompt"], a["seed"]) for a, _ in recipes(two)] == [(b["prompt"], b["seed"]) for _, b in recipes(two)]
    assert changes(two) == {("recipe", "steps"): ("2", "30")}
    assert list(two.results.axes) == ["prompt", "sampler", "run", "seed"]
    places = two.results.places
    assert neighbours(two, two.sides) == {(places[i].picture, places[j].picture) for i, j in two.pairs}


def test_another_seed_alone_is_compared_too(folder, shared):
    _, one = shared
    first = folder.run("seed7", SWEEP, "--seeds", "7")
    second = folder.run("seed8", SWEEP, "--seeds", "8")

    assert len(pair(first, second).pairs) == 8
    assert pair(first, second).results.axes["seed"] == ("7 → 8",)
    assert pair(one, first).pairs == ()
    assert sentences(pair(one, first))[0] == (
        "no picture of one was asked for in the other: seed is 0, 1 in swept and 7 in seed7"
    )


def test_an_axis_that_one_run_alone_has_is_filled_in_from_the_recipes_of_the_other(shared, folder):
    _, one = shared
    manifest = SWEEP.replace("sampler: [euler, heun], ", "").replace("demo_shapes}", "demo_shapes, sampler: heun}")
    other = folder.run("heun", manifest, "--limit", "3")

    two = pair(one, other)

    assert len(two.pairs) == 3
    assert {a["sampler"] for a, _ in recipes(two)} == {"heun"}
    assert two.results.axes["sampler"] == ("euler", "heun")
    assert {each.coordinates["sampler"] for each in two.results.places[16:]} == {"heun"}
    assert two.only == (13, 0)
    assert sentences(two)[1] == "13 in swept alone, 5 of heun not made"


def test_what_is_not_made_yet_has_its_place_and_is_counted(shared, folder):
    _, one = shared
    other = folder.run("half", SWEEP, "--limit", "6")

    two = pair(one, other)

    assert len(two.results.places) == 32
    assert len(two.pairs) == 6
    assert sentences(two)[1] == "10 in swept alone, 10 of half not made"
    assert len(neighbours(two, two.sides)) == 16


def test_where_nothing_is_made_that_is_said(shared, tmp_path):
    folder, one = shared
    shutil.copytree(folder.folder / "swept", tmp_path / "empty")
    shutil.rmtree(tmp_path / "empty/pictures")

    two = pair(one, read_results(RunDirectory(tmp_path / "empty")))

    assert two.pairs == ()
    assert sentences(two) == (
        "nothing is made yet in empty",
        "16 in swept alone, 16 of empty not made",
    )


def test_places_with_the_same_job_are_matched_one_to_one(folder):
    prompt = "set: {model: demo_shapes}\nprompts: [{prompt: x, name: one}, {prompt: x, name: two}]\nseeds: 0..1\n"
    twice = folder.run("twice", prompt)
    once = folder.run("once", "set: {model: demo_shapes}\nprompts: [{prompt: x, name: two}]\nseeds: 0..1\n")

    two = pair(twice, once)

    places = two.results.places
    assert [(places[i].coordinates["prompt"], places[i].coordinates["seed"]) for i, _ in two.pairs] == [
        ("two", 0),
        ("two", 1),
    ]
    assert two.only == (2, 0)
    assert len(pair(twice, twice).pairs) == 4


def test_the_same_prompt_under_another_name_stands_in_the_same_row(folder):
    manifest = "set: {model: demo_shapes}\nprompts: [{prompt: a red circle, name: cover}, {prompt: x, name: other}]\n"
    one = folder.run("named", manifest)
    # `cover` is another prompt here, and what it was has no name.
    other = folder.run("unnamed", "set: {model: demo_shapes}\nprompts: [a red circle, {prompt: y, name: cover}]\n")

    two = pair(one, other)

    assert len(two.pairs) == 1
    assert two.results.axes["prompt"] == ("cover", "other", "cover (unnamed)")
    places = two.results.places
    assert [each.coordinates["prompt"] for each in places] == ["cover", "other", "cover", "cover (unnamed)"]


def test_runs_of_the_same_name_are_told_apart(folder):
    words = "steps=2", "sampler=euler"
    one, other = folder.run("a/run", SWEEP, *words), folder.run("b/run", SWEEP, *words)

    assert pair(one, other).names == ("run (A)", "run (B)")
    assert pair(one, other, ("a/run", "b/run")).results.axes["run"] == ("a/run", "b/run")


def test_an_axis_called_run_stays_what_it_is(folder):
    manifest = "set: {model: demo_shapes}\nprompts: [x]\nbundles: {run: {short: {steps: 2}, long: {steps: 4}}}\n"
    one, other = folder.run("one", manifest), folder.run("other", manifest)

    two = pair(one, other)

    assert two.axis == "run_"
    assert two.results.axes["run"] == ("short", "long")
    assert len(two.pairs) == 2


def test_pictures_of_another_environment_are_told_of_in_two_runs_and_in_one(folder):
    manifest = "set: {model: demo_shapes, steps: 1}\nprompts: [a red circle]\nseeds: 0..2\n"
    one = folder.run("one", manifest, "runtime.threads=1", engine="diffusers")
    folder.run("mixed", manifest, "--limit", "2", "runtime.threads=1", engine="diffusers")
    mixed = folder.run("mixed", manifest, "runtime.threads=2", engine="diffusers")

    two = pair(one, mixed)

    assert changes(two)["environment", "threads"] == ("1", "1, 2")
    assert len(two.elsewhere) == 1
    assert "the pictures of 1 of 3 pairs were made in different environments" in sentences(two)
    assert strays(one) == ()
    assert stray_sentence(one) == ""
    assert [mixed.places[number].environment for number in strays(mixed)] == [
        next(key for key, value in mixed.environments.items() if value["threads"] == 2)
    ]
    assert stray_sentence(mixed) == (
        "mixed: 1 of 3 pictures was made in another environment than the rest: threads 1 -> 2"
    )
    assert sentences(two)[-1] == stray_sentence(mixed)


def test_pictures_of_other_sizes_are_counted_and_not_compared(folder):
    manifest = "set: {model: demo_shapes}\nprompts: [a red circle]\nseeds: 0..1\n"
    one, other = folder.run("small", manifest), folder.run("large", manifest, "size=96x64")

    two = pair(one, other)

    assert changes(two) == {("recipe", "width"): ("64", "96")}
    assert sentences(two, differences(two.results, two.against, folder.directory("small")))[0] == (
        "2 pictures in both, none equal to the last bit; 2 cannot be compared: they have other sizes, or cannot be read"
    )
