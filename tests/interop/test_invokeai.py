import pytest

from batchgen.interop.imported import Needed, Unreadable
from batchgen.interop.invokeai import read_metadata
from batchgen.interop.invokeai_old import read_old_metadata

PLAIN = {
    "app_version": "4.2.0",
    "generation_mode": "txt2img",
    "positive_prompt": "a heron",
    "negative_prompt": "blurry",
    "width": 768,
    "height": 432,
    "seed": 356120443,
    "rand_device": "cpu",
    "cfg_scale": 7.5,
    "cfg_rescale_multiplier": 0,
    "steps": 50,
    "scheduler": "dpmpp_2m_sde_k",
    "clip_skip": 0,
    "model": {"key": "k", "hash": "blake3:00", "name": "amixx_3", "base": "sd-1", "type": "main"},
    "controlnets": [],
    "loras": [],
    "vae": None,
    "hrf_enabled": False,
    "canvas_v2_metadata": {"controlLayers": [], "rasterLayers": []},
}


def test_every_field_is_said():
    found = read_metadata(PLAIN, "p.png")

    assert found.recipe == {
        "prompt": "a heron",
        "negative_prompt": "blurry",
        "emphasis": "none",
        "clip_skip": 1,
        "seed": 356120443,
        "width": 768,
        "height": 432,
        "steps": 50,
        "sampler": "dpmpp_2m_sde",
        "schedule": "karras",
        "guidance_scale": 7.5,
        "noise": "cpu",
        "noise_scale": "full",
        "rounding": "round",
    }
    assert found.checkpoint == Needed(kind="checkpoint", name="amixx_3")
    assert not found.refused
    assert found.warnings


def test_loras_and_vae_of_either_version_are_fields():
    found = read_metadata(
        PLAIN
        | {
            "loras": [
                {"model": {"name": "grain", "hash": "sha256:ab"}, "weight": 0.8},
                {"lora": {"model_name": "ink"}, "weight": 1},
            ],
            "vae": {"model_name": "sd-vae-ft-mse", "base_model": "sd-1"},
        },
        "p.png",
    )

    assert found.recipe["loras"] == [{"name": "grain", "scale": 0.8}, {"name": "ink", "scale": 1.0}]
    assert found.recipe["vae"] == "sd-vae-ft-mse"
    assert found.files == (
        Needed(kind="vae", name="sd-vae-ft-mse"),
        Needed(kind="lora", name="grain", hash="ab"),
        Needed(kind="lora", name="ink"),
    )


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"generation_mode": "img2img"}, "generation_mode"),
        ({"scheduler": "tcd"}, "scheduler"),
        ({"controlnets": [{"control_weight": 1}]}, "controlnets"),
        ({"cfg_rescale_multiplier": 0.7}, "cfg_rescale_multiplier"),
        ({"positive_prompt": "a heron++ at dawn"}, "prompt weights"),
        ({"positive_prompt": "a (grey heron)1.2"}, "prompt weights"),
        ({"rand_device": "mps"}, "rand_device"),
        ({"seamless_x": True}, "seamless_x"),
        ({"positive_style_prompt": "ink"}, "positive_style_prompt"),
    ],
)
def test_what_is_not_done_here_is_refused_by_name(changes, what):
    assert [each.what for each in read_metadata(PLAIN | changes, "p.png").refused] == [what]


def test_a_hyphen_is_no_weight():
    assert not read_metadata(PLAIN | {"positive_prompt": "a sci-fi heron, well-lit (in mist)"}, "p.png").refused


def test_another_shape_is_unreadable():
    with pytest.raises(Unreadable):
        read_metadata({"positive_prompt": "a", "scheduler": "euler", "loras": 5, "seed": 1}, "p.png")


OLD = {
    "model": "stable diffusion",
    "model_weights": "stable-diffusion-1.5",
    "model_hash": "CC6CB27103417325",
    "app_version": "2.2.4",
    "image": {
        "prompt": [{"prompt": "a heron [blurry, text] at dawn", "weight": 1.0}],
        "steps": 50,
        "cfg_scale": 7.5,
        "threshold": 0,
        "perlin": 0,
        "height": 512,
        "width": 448,
        "seed": 1234,
        "type": "txt2img",
        "postprocessing": None,
        "sampler": "ddim",
        "variations": [],
    },
}


def test_metadata_before_3_are_read():
    found = read_old_metadata(OLD, "p.png")

    assert found.recipe["prompt"] == "a heron  at dawn"
    assert found.recipe["negative_prompt"] == "blurry, text"
    assert (found.recipe["sampler"], found.recipe["seed"], found.recipe["width"]) == ("ddim", 1234, 448)
    assert found.checkpoint == Needed(kind="checkpoint", name="stable-diffusion-1.5", hash="cc6cb27103417325")
    assert not found.refused


@pytest.mark.parametrize(
    ("changes", "what"),
    [
        ({"variations": [[7, 0.2]]}, "variations"),
        ({"postprocessing": [{"type": "gfpgan"}]}, "postprocessing"),
        ({"type": "img2img"}, "type"),
        ({"sampler": "plms"}, "sampler"),
        ({"prompt": [{"prompt": "a", "weight": 1}, {"prompt": "b", "weight": 1}]}, "prompt"),
        ({"strength": 0.5}, "strength"),
    ],
)
def test_what_is_not_done_here_is_refused_by_name_before_3_too(changes, what):
    assert [each.what for each in read_old_metadata(OLD | {"image": OLD["image"] | changes}, "p.png").refused] == [what]
