"""Image to image, inpainting and second passes on the embedded model, seen by a judge of colours and shapes."""

import json
from random import Random

import numpy as np
import pytest
from PIL import Image

from batchgen.demo.drawings import draw, one_shape
from batchgen.demo.judge import ground_colour, judge, nearest_colour
from batchgen.store import images

SOURCE = ("red", "circle", "white")
PROMPT = "a blue square on the right on a yellow background"
ASKED = ("blue", "square", "yellow")

MANIFEST = {
    "prompts": [PROMPT],
    "seeds": "0..3",
    "set": {"steps": 20},
    "bundles": {
        "way": {
            "little": {"init_image": "old photo.png", "strength": 0.3},
            "much": {"init_image": "old photo.png", "strength": 0.9},
            "inside": {
                "init_image": "old photo.png",
                "mask_image": "masks/{stem}.png",
                "mask_content": "neutral",
                "strength": 1.0,
            },
            "on": {"init_image": {"from": "much"}, "strength": 0.2},
        }
    },
    "compare": False,
}


def layout(path):
    """Return the colour of the ground and how far to the right the figure stands, 0..1."""
    with Image.open(path) as picture:
        pixels = np.asarray(picture.convert("RGB"), dtype=np.float64)
    ground = ground_colour(pixels)
    figure = np.linalg.norm(pixels - ground, axis=-1) > 60
    return nearest_colour(ground), float(np.nonzero(figure)[1].mean()) / 64


def seen(path):
    with Image.open(path) as picture:
        verdict = judge(picture)
    return verdict.foreground, verdict.shape, verdict.background


@pytest.fixture(scope="module")
def done(tmp_path_factory, person_in):
    """A run of all ways, and its pictures by way: (path, record)."""
    person = person_in(tmp_path_factory.mktemp("pictures"))
    (person.folder / "masks").mkdir()
    draw(one_shape(Random("source"), SOURCE, position="on the left")).save(person.folder / "old photo.png")
    mask = Image.new("L", (64, 64))
    mask.paste(255, (24, 8, 64, 56))
    mask.save(person.folder / "masks" / "old photo.png")
    person.writes("ways.json", json.dumps(MANIFEST))
    said = person.types("run", "ways.json")
    assert said.code == 0, said.err
    found = {}
    for path in person.pictures("outputs/ways"):
        record = images.record_in(path)
        found.setdefault(next(way for way in MANIFEST["bundles"]["way"] if f"_{way}_" in path.name), []).append(
            (path, record)
        )
    return person, found


def test_at_a_low_strength_the_layout_stays(done):
    person, found = done
    assert seen(person.folder / "old photo.png") == SOURCE
    for path, _ in found["little"]:
        ground, place = layout(path)
        assert ground == "white"
        assert place < 0.45


def test_at_a_high_strength_the_prompt_is_followed(done):
    _, found = done
    assert sum(seen(path) == ASKED and layout(path)[1] > 0.55 for path, _ in found["much"]) >= 3


def test_inpainting_changes_the_masked_part_alone(done):
    person, found = done
    with Image.open(person.folder / "old photo.png") as picture:
        before = np.array(picture.convert("RGB"))
    outside = np.ones((64, 64), dtype=bool)
    outside[8:56, 24:] = False
    for path, _ in found["inside"]:
        with Image.open(path) as picture:
            after = np.array(picture)
        assert (after[outside] == before[outside]).all()
        assert np.abs(after[~outside].astype(int) - before[~outside]).mean() > 20


def test_a_second_pass_begins_with_what_the_first_has_made(done):
    _, found = done
    firsts = {record["id"]: path for path, record in found["much"]}
    for path, record in found["on"]:
        (stage,) = record["stages"]
        assert seen(path)[2] == seen(firsts[stage["id"]])[2]
    assert {record["stages"][0]["id"] for _, record in found["on"]} == firsts.keys()


def test_records_and_names_say_what_was_done(done):
    _, found = done
    for way, steps in (("little", 20), ("much", 20), ("inside", 20)):
        for path, record in found[way]:
            assert record["execution"]["steps_taken"] == steps
            assert path.name.startswith("old-photo-a-blue-square")
            assert "old photo.png" in {each["name"] for each in record["files"]}


def test_the_same_command_again_makes_nothing(done):
    person, _ = done
    said = person.types("run", "ways.json")
    assert said.code == 0, said.err
    assert len(person.records("outputs/ways")) == 16


def test_a_missing_mask_of_a_folder_of_pictures_is_named(person):
    for name in ("a", "b"):
        (person.folder / "in").mkdir(exist_ok=True)
        draw(one_shape(Random(name), SOURCE)).save(person.folder / "in" / f"{name}.png")
    (person.folder / "masks").mkdir()
    Image.new("L", (64, 64), 255).save(person.folder / "masks" / "a.png")
    sweep = {"init_image": ["in/"], "strength": [0.3, 0.6]}
    person.writes(
        "pairs.json", json.dumps({"prompts": ["x"], "set": {"mask_image": "masks/{stem}.png"}, "sweep": sweep})
    )

    said = person.types("plan", "pairs.json")

    assert said.code == 2
    assert "masks/b.png" in said.err
    assert "Traceback" not in said.err
    Image.new("L", (64, 64), 255).save(person.folder / "masks" / "b.png")
    assert person.types("plan", "pairs.json").code == 0
