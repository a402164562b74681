from dataclasses import replace

import pytest

from batchgen.errors import ModelError, UsageError
from batchgen.models.families import FAMILIES
from batchgen.parts import Canvas, Motion, Sampling

EULER = Sampling(sampler="euler", schedule="simple", steps=4, guidance_scale=1.0)


def sampling(**changes: object) -> Sampling:
    return Sampling(**{"sampler": "euler", "schedule": "simple", "steps": 4, "guidance_scale": 1.0, **changes})


def still_or_clip(family: str) -> Motion:
    return Motion(frames=FAMILIES[family].frames + 1)


@pytest.mark.parametrize(
    ("family", "canvas", "words"),
    [
        ("sd15", Canvas(width=63, height=64), "m.yaml:3: width 63 is no multiple of 8; nearest: 56, 64"),
        ("sdxl", Canvas(width=1024, height=1001), "m.yaml:3: height 1001 is no multiple of 8; nearest: 1000, 1008"),
        ("flux", Canvas(width=1032, height=64), "m.yaml:3: width 1032 is no multiple of 16; nearest: 1024, 1040"),
        ("flux", Canvas(width=64, height=8), "m.yaml:3: height 8 is no multiple of 16; nearest: 16"),
    ],
)
def test_a_side_that_does_not_fit_is_answered_with_the_nearest_that_do(family: str, canvas: Canvas, words: str) -> None:
    with pytest.raises(ModelError) as caught:
        FAMILIES[family].check(canvas, EULER, where="m.yaml:3")
    assert str(caught.value) == words


@pytest.mark.parametrize("family", [name for name, each in FAMILIES.items() if not each.cogvideox])
def test_families_take_multiples_and_euler(family: str) -> None:
    asked = ["init_image"] if FAMILIES[family].animates else []
    FAMILIES[family].check(Canvas(width=64, height=96), EULER, still_or_clip(family), asked=asked)


def test_a_flow_model_refuses_a_sampler_that_makes_no_sense_for_it_and_others_take_it() -> None:
    canvas = Canvas(width=64, height=64)
    FAMILIES["sd15"].check(canvas, sampling(sampler="dpm_2_ancestral", schedule="karras"))
    with pytest.raises(ModelError, match=r"^m\.yaml:9: .*dpm_2_ancestral"):
        FAMILIES["flux"].check(canvas, sampling(sampler="dpm_2_ancestral"), where="m.yaml:9")


def test_an_unknown_sampler_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match=r"^m\.yaml:9: .*eulr"):
        FAMILIES["sd15"].check(Canvas(width=64, height=64), sampling(sampler="eulr"), where="m.yaml:9")


def test_distilled_guidance_is_for_models_that_are_told_it() -> None:
    canvas = Canvas(width=64, height=64)
    FAMILIES["flux"].check(canvas, sampling(distilled_guidance=3.5))
    with pytest.raises(ModelError, match="takes no distilled_guidance"):
        FAMILIES["sdxl"].check(canvas, sampling(distilled_guidance=3.5))


COGVIDEOX = Sampling(sampler="cogvideox_ddim", schedule="simple", steps=4, guidance_scale=6.0)
SMALL = Canvas(width=64, height=64)


@pytest.mark.parametrize("family", [name for name, each in FAMILIES.items() if not each.frames])
def test_a_family_of_pictures_refuses_a_clip_and_says_who_makes_one(family: str) -> None:
    with pytest.raises(ModelError, match=r"^m\.yaml:4: frames 9: .* makes pictures.* clips are made by cogvideox, "):
        FAMILIES[family].check(SMALL, EULER, Motion(frames=9), where="m.yaml:4")


@pytest.mark.parametrize(
    ("family", "frames", "words"),
    [
        ("cogvideox", 48, "frames 48 is not 8k+1, as CogVideoX needs it; nearest: 41, 49"),
        ("cogvideox", 13, "frames 13 is not 8k+1, as CogVideoX needs it; nearest: 9, 17"),
        ("cogvideox", 2, "frames 2 is not 8k+1, as CogVideoX needs it; nearest: 1, 9"),
        ("cogvideox_i2v", 1, "frames 1 is not 8k+1, as CogVideoX image to video needs it; nearest: 9"),
        ("cogvideox", 1024, "frames 1024 is not 8k+1, as CogVideoX needs it; nearest: 1017, 1025"),
    ],
)
def test_frames_that_cannot_be_made_are_answered_with_the_nearest_that_can(
    family: str, frames: int, words: str
) -> None:
    with pytest.raises(ModelError) as caught:
        FAMILIES[family].check(SMALL, COGVIDEOX, Motion(frames=frames), asked=["init_image"])
    assert str(caught.value) == words


@pytest.mark.parametrize("frames", [1, 9, 49, 81, 161, 1025])
def test_cogvideox_makes_a_picture_or_a_clip_of_eight_frames_more(frames: int) -> None:
    FAMILIES["cogvideox"].check(SMALL, COGVIDEOX, Motion(frames=frames))


def test_a_model_that_animates_needs_a_picture_and_one_that_does_not_refuses_it() -> None:
    clip = Motion(frames=9)
    FAMILIES["cogvideox_i2v"].check(SMALL, COGVIDEOX, clip, asked=["init_image", "loras"])
    with pytest.raises(ModelError, match=r"^init_image is missing: CogVideoX image to video makes a clip of a picture"):
        FAMILIES["cogvideox_i2v"].check(SMALL, COGVIDEOX, clip)
    with pytest.raises(ModelError, match=r"^init_image is not for CogVideoX$"):
        FAMILIES["cogvideox"].check(SMALL, COGVIDEOX, clip, asked=["init_image"])


@pytest.mark.parametrize("field", ["mask_image", "hires", "vae"])
def test_what_pictures_alone_can_have_is_refused_for_clips(field: str) -> None:
    with pytest.raises(ModelError, match=f"^{field} is not for CogVideoX"):
        FAMILIES["cogvideox_i2v"].check(SMALL, COGVIDEOX, Motion(frames=9), asked=["init_image", field])


def test_dynamic_guidance_and_shift_are_for_those_that_know_them() -> None:
    FAMILIES["cogvideox"].check(SMALL, replace(COGVIDEOX, dynamic_guidance=True))
    FAMILIES["flux"].check(SMALL, sampling(shift=3.0))
    with pytest.raises(ModelError, match=r"^dynamic_guidance is for CogVideoX alone, not for FLUX.1$"):
        FAMILIES["flux"].check(SMALL, sampling(dynamic_guidance=True))
    with pytest.raises(ModelError, match=r"^shift is for flow-matching models \(flux.*\), not for CogVideoX$"):
        FAMILIES["cogvideox"].check(SMALL, replace(COGVIDEOX, shift=3.0))
