import pytest

from batchgen.interop.imported import Needed, Unreadable
from batchgen.interop.own import read_record
from batchgen.job import recipe_id

MODEL, UPSCALER, FILE = "1" * 64, "2" * 64, "3" * 64
PLAIN = {
    "model": MODEL,
    "prompt": "a heron",
    "seed": 7,
    "steps": 20,
    "sampler": "euler",
    "schedule": "normal",
    "guidance_scale": 7.5,
    "width": 512,
    "height": 768,
}
SAID = {key: value for key, value in PLAIN.items() if key != "model"}
NEUTRAL = {
    "negative_prompt": "",
    "emphasis": "comfy",
    "clip_skip": 1,
    "precision": "auto",
    "rounding": "round",
    "vae_tiling": "off",
    "noise": "cpu",
    "noise_scale": "full",
}


def record(recipe, **changes):
    return {
        "schema": 1,
        "batchgen_version": "0.1.0",
        "id": recipe_id(recipe),
        "recipe": recipe,
        "model": {"name": "base", "family": "sd15", "digest": MODEL},
        "name": "SH020",
        **changes,
    }


def test_fields_at_their_neutral_value_are_said():
    found = read_record(record(PLAIN), "p.png")

    assert found.recipe == SAID | NEUTRAL
    assert found.checkpoint == Needed(kind="checkpoint", name="base", hash=MODEL)
    assert found.name == "SH020"


def test_files_are_called_as_the_record_calls_them():
    recipe = PLAIN | {
        "loras": [{"sha256": FILE, "scale": 0.8, "clip_scale": 0.5}],
        "vae": {"sha256": "4" * 64},
        "init_image": {"sha256": "5" * 64},
        "mask_alpha": True,
        "strength": 0.6,
    }

    found = read_record(
        record(recipe, files=[{"sha256": FILE, "name": "grain"}, {"sha256": "5" * 64, "name": "photo.png"}]), "p.png"
    )

    assert found.recipe["loras"] == [{"name": "grain", "scale": 0.8, "clip_scale": 0.5}]
    assert found.recipe["vae"] == "4" * 64
    assert (found.recipe["init_image"], found.recipe["mask_image"]) == ("photo.png", "alpha")
    assert Needed(kind="vae", hash="4" * 64) in found.files
    assert not found.refused


def test_a_second_pass_is_hires_again():
    second = PLAIN | {"width": 768, "height": 1152, "steps": 12, "strength": 0.4, "init_image": {"recipe": PLAIN}}

    found = read_record(record(second), "p.png")

    expected = {"scale": 1.5, "upscaler": "lanczos", "strength": 0.4, "steps": 12}
    assert found.recipe == SAID | NEUTRAL | {"hires": expected}
    assert not found.refused


def test_a_second_pass_of_another_seed_says_it():
    second = PLAIN | {"seed": 9, "width": 768, "height": 1152, "strength": 0.4, "init_image": {"recipe": PLAIN}}

    found = read_record(record(second), "p.png")

    assert (found.recipe["seed"], found.recipe["hires"]["seed"]) == (7, 9)
    assert not found.refused


def test_what_was_enlarged_twice_is_refused():
    once = {"model": UPSCALER, "seed": 0, "width": 1024, "height": 1536, "init_image": {"recipe": PLAIN}}
    twice = once | {"width": 2048, "height": 3072, "init_image": {"recipe": once}}

    assert [each.what for each in read_record(record(twice), "p.png").refused] == ["upscale"]


def test_an_enlargement_is_upscale_again():
    recipe = {"model": UPSCALER, "seed": 0, "width": 1024, "height": 1536, "init_image": {"recipe": PLAIN}}

    stages = [{"id": "x", "model": {"name": "base", "family": "sd15", "digest": MODEL}}]
    found = read_record(record(recipe, model={"name": "4x", "digest": UPSCALER}, stages=stages), "p.png")

    assert found.recipe == SAID | NEUTRAL | {"upscale": {"model": "4x", "scale": 2.0}}
    assert found.checkpoint == Needed(kind="checkpoint", name="base", hash=MODEL)


def test_a_second_pass_after_an_upscaler_names_it():
    enlarged = {"model": UPSCALER, "seed": 0, "width": 2048, "height": 3072, "init_image": {"recipe": PLAIN}}
    second = PLAIN | {"width": 768, "height": 1152, "strength": 0.4, "init_image": {"recipe": enlarged}}

    found = read_record(record(second, files=[{"sha256": UPSCALER, "name": "4x"}]), "p.png")

    assert found.recipe["hires"] == {"scale": 1.5, "upscaler": "4x", "strength": 0.4, "steps": 20}


def test_what_begins_with_quite_another_picture_is_refused():
    second = PLAIN | {"prompt": "a stork", "strength": 0.4, "init_image": {"recipe": PLAIN}}

    assert [each.what for each in read_record(record(second), "p.png").refused] == ["init_image"]


@pytest.mark.parametrize("changes", [{"schema": 2}, {"id": "0" * 64}])
def test_a_record_that_is_none_is_unreadable(changes):
    with pytest.raises(Unreadable):
        read_record(record(PLAIN) | changes, "p.png")


def test_a_recipe_of_another_shape_is_unreadable():
    with pytest.raises(Unreadable):
        read_record(record(PLAIN | {"loras": [5]}), "p.png")


@pytest.mark.parametrize("scale", [1.5, 1.3, 2, 1.37, 1.0, 3.1415])
@pytest.mark.parametrize("multiple", [8, 16])
@pytest.mark.parametrize("size", [(512, 768), (64, 112), (832, 1216)])
def test_the_scale_that_is_found_makes_the_same_sides(size, multiple, scale):
    def enlarged(by):
        return tuple(round(side * by / multiple) * multiple for side in size)

    width, height = enlarged(scale)
    first = PLAIN | {"width": size[0], "height": size[1]}
    second = first | {"width": width, "height": height, "strength": 0.4, "init_image": {"recipe": first}}

    found = read_record(record(second), "p.png").recipe["hires"]["scale"]

    assert enlarged(found) == (width, height)
