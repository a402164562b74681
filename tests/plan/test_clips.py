"""Clips in manifests: what a family or a model cannot make is said while planning, at its place."""

import json
from dataclasses import replace

import pytest

from batchgen.errors import ModelError

CLIP = {"width": 720, "height": 480, "frames": 49, "fps": 8.0, "steps": 50, "guidance_scale": 6.0}
COGVIDEOX = CLIP | {"sampler": "cogvideox_dpm", "schedule": "simple"}


@pytest.fixture
def clips(place, confs):
    """A place with a model of words, one that animates, and a picture."""
    small = confs.models["small"]
    confs.models["words"] = replace(small, name="words", family="cogvideox", recommended=COGVIDEOX)
    confs.models["animating"] = replace(small, name="animating", family="cogvideox_i2v", recommended=COGVIDEOX)
    confs.beside.sizes["a.png"] = (1000, 700)
    return place


def test_a_clip_is_as_its_model_recommends_and_its_frames_are_in_the_recipe(clips):
    (job,) = clips.jobs("prompts: [x]\nset: {model: words}")
    assert (job["frames"], job["width"], job["height"]) == (49, 720, 480)
    (picture,) = clips.jobs("prompts: [x]")
    assert "frames" not in picture


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("prompts: [x]\nset: {model: words, frames: 50}", 2, r"frames 50 is not 8k\+1, as CogVideoX .*: 49, 57"),
        ("prompts: [x]\nset: {model: words}\nsweep:\n  frames: [49, 13]", 4, "frames 13 .*nearest: 9, 17"),
        ("prompts: [x]\nset: {frames: 9}", 2, "frames 9: Stable Diffusion 1.5 makes pictures"),
        ("prompts: [x]\nset: {model: words, size: 721x480}", 2, "width 721 is no multiple of 16; nearest: 720, 736"),
        ("prompts: [x]\nset: {model: words, sampler: euler}", 2, "'euler' is not for CogVideoX"),
        ("prompts: [x]\nset: {sampler: cogvideox_dpm, schedule: simple}", 2, "'cogvideox_dpm' is for CogVideoX alone"),
        ("prompts: [x]\nset: {model: words, shift: 3}", 2, "shift is for flow-matching models"),
        ("prompts: [x]\nset: {dynamic_guidance: true}", 2, "dynamic_guidance is for CogVideoX alone"),
        ("prompts: [x]\nset: {model: words, init_image: a.png}", 2, "init_image is not for CogVideoX"),
        ("prompts: [x]\nset: {model: words, vae: clear}", 2, "vae is not for CogVideoX"),
        ("prompts: [x]\nset: {model: words, hires: {scale: 2}}", 2, "hires is not for CogVideoX"),
        ("prompts: [x]\nset: {model: animating}", None, "init_image is missing: CogVideoX image to video"),
        ("prompts: [x]\nset: {model: animating, init_image: a.png, strength: 0.5}", 2, "strength is not for CogVideoX"),
        ("prompts: [x]\nset: {model: animating, init_image: a.png, mask_image: a.png}", 2, "mask_image is not for"),
        ("prompts: [x]\nset: {model: animating, init_image: a.png, mask_image: alpha}", 2, "mask_image is not for"),
    ],
)
def test_what_cannot_be_made_is_said_before_a_model_is_looked_for(clips, confs, text, line, words):
    with pytest.raises(ModelError, match=words) as caught:
        clips.sweep(text)
    if line:
        assert str(caught.value.where).endswith(f"m.yaml:{line}")
    assert confs.resolved == []


def test_a_picture_to_animate_is_fitted_to_the_size_that_the_model_was_taught(clips):
    (job,) = clips.jobs("prompts: [x]\nset: {model: animating, init_image: a.png}")
    assert (job["width"], job["height"]) == (720, 480)
    (job,) = clips.jobs("prompts: [x]\nset: {init_image: a.png}")
    assert (job["width"], job["height"]) == (1000, 696)


def test_what_one_model_of_a_family_cannot_do_is_said_once_its_configurations_are_found(clips, confs, tmp_path):
    for part, config in (
        ("vae", {"block_out_channels": [1] * 4, "temporal_compression_ratio": 4, "latent_channels": 16}),
        (
            "transformer",
            {"patch_size": 2, "sample_width": 90, "sample_height": 60, "use_learned_positional_embeddings": True},
        ),
    ):
        (tmp_path / part).mkdir()
        (tmp_path / part / "config.json").write_text(json.dumps(config))
    resolve = confs.resolve
    confs.resolve = lambda name: replace(resolve(name), path=str(tmp_path))
    text = "prompts: [x]\nset:\n  model: animating\n  init_image: a.png\n"

    assert clips.sweep(text).count == 1
    with pytest.raises(ModelError, match=r"m\.yaml:5: width 736: model 'animating' was taught one size, 720x480"):
        clips.sweep(f"{text}  width: 736")
