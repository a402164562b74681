import json

import pytest


def findings(said):
    return {each["about"]: each for each in json.loads(said.out)["findings"]}


@pytest.fixture(scope="module")
def healthy(tmp_path_factory, person_in):
    person = person_in(tmp_path_factory.mktemp("healthy"))
    return person, person.types("doctor")


def test_a_machine_that_can_render_the_demo_is_ready(healthy):
    _, said = healthy

    assert said.code == 0, said.out + said.err
    assert said.out.splitlines()[-1].startswith("ready to run, ")
    assert not [line for line in said.out.splitlines() if line.startswith("wrong")]


def test_every_line_says_how_it_stands_with_what(healthy):
    _, said = healthy

    lines = [line for line in said.out.splitlines()[:-1] if not line.startswith(" ")]
    assert all(line.startswith(("ok       ", "warning  ")) for line in lines)
    about = [line[9:].split(":")[0] for line in lines]
    assert about[:9] == ["python", "torch", "gpu", "ffmpeg", "output", "locks", "links", "disk", "cache"]
    assert {"models", "model demo_shapes", "model sdxl"} <= set(about)


def test_it_leaves_nothing_behind(healthy):
    person, _ = healthy

    assert not [path for path in person.folder.rglob("*") if "cache" not in str(path)]


def test_without_torch_it_still_says_everything_else_and_ends_with_1(person, without_torch):
    poison, _ = without_torch

    said = person.types("doctor", "--json", **poison)

    assert said.code == 1, said.err
    found = findings(said)
    assert json.loads(said.out)["ok"] is False
    assert (found["torch"]["state"], found["torch"]["says"]) == ("wrong", "cannot be loaded: ImportError: torch")
    assert found["torch"]["mend"]
    assert found["model demo_shapes"]["state"] == "ok"
    assert [each["about"] for each in found.values() if each["state"] == "wrong"] == ["torch"]


def test_it_looks_where_the_settings_say(person, without_torch):
    (person.folder / "file").touch()

    said = person.types("doctor", "--json", "output.root=file/outputs", "paths.models=[elsewhere]", **without_torch[0])

    found = findings(said)
    assert found["output"]["state"] == "wrong"
    assert "elsewhere: no such folder" in found["models"]["says"]


def test_words_of_a_recipe_are_none_of_its_business(person):
    said = person.types("doctor", "steps=3")

    assert said.code == 2
    assert "settings only" in said.err
