"""Pictures made larger: on the command line alone, after a sweep, and for pictures that were chosen from one."""

import json
from importlib.util import find_spec

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import save_file

from batchgen.store import images

pytestmark = pytest.mark.skipif(find_spec("spandrel") is None, reason="the extra `upscale` is not installed")

MODELS = "paths.models=[models]"
FAKE = "runtime.engine=fake"


def write_upscaler(path, scale=2):
    """An upscaler in the layout of Real-ESRGAN's small network, with random weights."""
    chooser = torch.Generator().manual_seed(scale)
    state = {
        "body.0.weight": torch.randn(4, 3, 3, 3, generator=chooser) * 0.2,
        "body.0.bias": torch.zeros(4),
        "body.1.weight": torch.full((4,), 0.2),
        "body.2.weight": torch.randn(3 * scale**2, 4, 3, 3, generator=chooser) * 0.2,
        "body.2.bias": torch.zeros(3 * scale**2),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".pth":
        torch.save({"params": state}, path)
    else:
        save_file(state, path)


def give_models_and_photographs(person):
    write_upscaler(person.folder / "models/upscale_models/twice.safetensors", 2)
    write_upscaler(person.folder / "models/upscale_models/thrice.pth", 3)
    photos = person.folder / "photos"
    photos.mkdir()
    for number, (name, size) in enumerate({"heron.png": (24, 16), "old fox.jpg": (16, 16)}.items()):
        pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(photos / name)
    turned = Image.Exif()
    turned[0x0112] = 6
    Image.new("RGB", (16, 8), "red").save(photos / "turned.jpg", exif=turned)
    return person


@pytest.fixture(scope="module")
def restored(tmp_path_factory, person_in):
    """Somebody whose folder of photographs was made larger."""
    person = give_models_and_photographs(person_in(tmp_path_factory.mktemp("person")))
    (person.folder / "photos/notes.txt").write_text("no picture")
    words = [f"photos/{name}" for name in ("heron.png", "old fox.jpg", "turned.jpg", "notes.txt")]
    said = person.types("upscale", *words, "model=twice", MODELS)
    assert said.code == 0, said.err
    return person, said


def test_each_photograph_is_made_larger_and_named_after_its_source(restored):
    person, said = restored
    found = {
        path.name.rpartition("_")[0]: images.open_picture(path).pixels.shape
        for path in person.pictures("outputs/upscaled")
    }

    assert found == {"heron": (32, 48, 3), "old-fox": (32, 32, 3), "turned": (32, 16, 3)}
    assert "3 pictures made" in said.out
    assert "notes.txt" in said.err


def test_the_records_say_with_what_and_hold_no_prompt(restored):
    person, _ = restored
    for record in person.records("outputs/upscaled"):
        assert record["model"]["family"] == "upscaler"
        assert record["recipe"].keys() == {"model", "seed", "width", "height", "init_image"}
        assert (record["execution"]["upscaler"], record["execution"]["scale"]) == ("twice", 2)
        assert record["execution"]["tiles"] == 1
        assert record["manifest"] is None


def test_the_same_words_again_find_nothing_to_do_and_import_no_torch(restored, without_torch):
    person, _ = restored
    poison, mark = without_torch

    said = person.types("upscale", "photos/*.*g", "model=twice", MODELS, **poison)

    assert said.code == 0, said.err
    assert "nothing to do" in said.out
    assert not mark.exists()


def test_status_verify_and_reproduce_know_the_directory_and_run_says_what_goes_on_with_it(restored):
    person, _ = restored

    assert "3 of 3 pictures are there" in person.types("status", "outputs/upscaled").out
    assert "all is well" in person.types("verify", "outputs/upscaled").out
    again = person.types("reproduce", "outputs/upscaled", MODELS)
    assert "3 of 3 pictures EXACT" in again.out, again.out + again.err
    said = person.types("run", "outputs/upscaled")
    assert said.code == 2
    assert "batchgen upscale PICTURE... model=NAME --into outputs/upscaled" in said.err


@pytest.fixture
def person_with_photographs(person):
    return give_models_and_photographs(person)


def test_several_models_and_scales_are_axes_and_only_so_many_are_made_as_the_limit_says(person_with_photographs):
    person = person_with_photographs
    words = ("upscale", "photos", "model=twice,thrice", "scale=1.5,2", "--into", "large", MODELS, FAKE)

    plan = person.types(*words, "--plan")
    first = person.types(*words, "--limit", "5")
    rest = person.types(*words)

    assert "12 pictures asked for, 0 there, 12 to make" in plan.out
    assert first.code == 1
    assert len([line for line in (first.out + rest.out).splitlines() if "pictures made" in line]) == 2
    assert rest.code == 0, rest.err
    names = {path.name.rpartition("_")[0] for path in person.pictures("large")}
    assert {"heron_twice_1.5", "heron_twice_2", "heron_thrice_1.5", "old-fox_thrice_2"} < names
    assert len(names) == 12


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["photos/heron.png"], "thrice, twice)"),
        (["photos/heron.png", "model=twise"], "did you mean 'twice'?"),
        (["photos/gone.png", "model=twice"], "photos/gone.png: no picture is there"),
        (["model=twice"], "nothing to make larger"),
        (["photos/heron.png", "model=twice", "steps=4"], "unknown word 'steps'"),
        (["photos/heron.png", "model=twice", "scale=-1"], "must be greater than 0"),
        (["large.png", "model=twice", "scale=9"], "18000x72"),
        (["photos", "torn.png", "model=twice", "scale=1"], "torn.png: is no picture that can be read"),
    ],
)
def test_a_wrong_word_is_answered_in_a_line_before_anything_is_rendered(person_with_photographs, words, said):
    person = person_with_photographs
    Image.new("L", (2000, 8)).save(person.folder / "large.png")
    (person.folder / "torn.png").write_bytes(b"\x89PNG")

    found = person.types("upscale", *words, MODELS, FAKE)

    assert found.code == 2
    assert said in found.err
    assert len(found.err.splitlines()) == 1
    assert not (person.folder / "outputs").exists()


@pytest.fixture(scope="module")
def swept(tmp_path_factory, person_in):
    """Somebody with two pictures of the embedded model, each made larger by two upscalers."""
    person = give_models_and_photographs(person_in(tmp_path_factory.mktemp("sweep")))
    said = person.types("run", "--prompt", "a red circle", "--seeds", "0..1", "steps=2", "upscale=twice,thrice", MODELS)
    assert said.code == 0, said.err
    return person


def test_variants_of_the_upscaler_share_the_first_stage_which_is_rendered_once(swept):
    records = swept.records("outputs/adhoc")
    first = {record["id"]: record for record in records if record["model"]["family"] == "sd15"}
    larger = [record for record in records if record["model"]["family"] == "upscaler"]

    assert len(first) == 2
    assert sorted((record["model"]["name"], record["recipe"]["width"]) for record in larger) == [
        *[("thrice", 192)] * 2,
        *[("twice", 128)] * 2,
    ]
    stages = [record["stages"][0]["id"] for record in larger]
    assert sorted(stages) == sorted([*first] * 2)
    journal = (swept.folder / "outputs/adhoc/.batchgen/journal.jsonl").read_text()
    assert journal.count('"done"') == 6


def test_the_upscaled_picture_is_what_the_network_makes_of_the_first_one(swept):
    by_id = {images.record_in(path)["id"]: path for path in swept.pictures("outputs/adhoc")}
    for path in by_id.values():
        record = images.record_in(path)
        if record["model"]["family"] == "upscaler":
            first = images.open_picture(by_id[record["stages"][0]["id"]]).pixels
            large = images.open_picture(path).pixels
            scale = large.shape[0] // first.shape[0]
            # It adds what it has found to the picture, each pixel of which it repeats.
            apart = large.astype(int) - first.repeat(scale, 0).repeat(scale, 1)
            assert 0 < np.abs(apart).mean() < 90


def promoted(person, *words):
    said = person.types("promote", *words)
    assert said.code == 0, said.err
    return said


def test_a_chosen_picture_is_rendered_larger_from_the_stage_that_is_there(person_with_photographs):
    person = person_with_photographs
    asked = ("--prompt", "a red circle", "--seeds", "0..2", "steps=3", MODELS, FAKE)
    assert person.types("run", *asked).code == 0
    ids = [record["id"] for record in person.records("outputs/adhoc")]
    name = next(path.name for path in person.pictures("outputs/adhoc") if ids[1][:8] in path.name)

    said = promoted(
        person, "outputs/adhoc", "--pick", ids[0][:6], name, "upscale=twice", MODELS, FAKE, "-o", "large.yaml"
    )
    assert "2 pictures asked for, 2 to make; 2 pictures that they begin with are there" in said.err
    assert "next: batchgen run large.yaml" in said.err
    assert "warning" not in said.err
    assert person.types("run", "large.yaml", MODELS, FAKE).code == 0

    records = person.records("outputs/adhoc")
    assert len(records) == 5
    assert {record["stages"][0]["id"] for record in records if record["stages"]} == {ids[0], ids[1]}


def test_fields_are_changed_or_swept_and_the_rest_is_as_recorded(person):
    asked = ("--prompt", "a fox, (red:1.2)", "--seeds", "5", "steps=3", "sampler=ddim", FAKE)
    assert person.types("run", *asked, "--into", "somewhere").code == 0
    (record,) = person.records("somewhere")

    said = promoted(person, "somewhere", record["id"][:4], "steps=8,16", "size=128x64", "seeds=1..2", FAKE)

    document = yaml.safe_load(said.out)
    assert document["sweep"] == {"steps": [8, 16]}
    assert document["seeds"] == "1..2"
    assert (document["set"]["size"], document["set"]["sampler"]) == ("128x64", "ddim")
    assert "width" not in document["set"]
    assert document["prompts"] == ["a fox, (red:1.2)"] or document["prompts"] == [{"prompt": "a fox, (red:1.2)"}]
    assert "4 pictures asked for, 4 to make" in said.err
    assert "--into somewhere" in said.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "which pictures?"),
        (["--pick", "abc"], "at least 4 digits"),
        (["--pick", "0000000"], "no id in this run begins so"),
        (["--pick", "heron.png"], "no picture of this run has such a name"),
        (["--pick", "ID", "stepz=4"], "did you mean 'steps'?"),
        (["--pick", "ID", "upscale=nothing"], "upscaler 'nothing' is not on this machine"),
        (["--pick", "ID", "-o", "there.yaml"], "there.yaml: is there already"),
    ],
)
def test_a_wrong_choice_is_answered_in_a_line(swept, words, said):
    (swept.folder / "there.yaml").write_text("")
    first = json.loads(min((swept.folder / "outputs/adhoc/records").iterdir()).read_bytes())["id"]

    found = swept.types("promote", "outputs/adhoc", *(first if word == "ID" else word for word in words), MODELS)

    assert found.code == 2
    assert said in found.err
    assert len(found.err.splitlines()) == 1
    assert not found.out
