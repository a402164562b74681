import pytest

from batchgen.errors import ModelError, UsageError
from batchgen.job import Canvas, Sampling
from batchgen.models.families import FAMILIES

EULER = Sampling(sampler="euler", schedule="simple", steps=4, guidance_scale=1.0)


def sampling(**changes: object) -> Sampling:
    return Sampling(**{"sampler": "euler", "schedule": "simple", "steps": 4, "guidance_scale": 1.0, **changes})


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
        FAMILIES[family].check(canvas, EULER, "m.yaml:3")
    assert str(caught.value) == words


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_takes_multiples_and_euler(family: str) -> None:
    FAMILIES[family].check(Canvas(width=64, height=96), EULER)


def test_a_flow_model_refuses_a_sampler_that_makes_no_sense_for_it_and_others_take_it() -> None:
    canvas = Canvas(width=64, height=64)
    FAMILIES["sd15"].check(canvas, sampling(sampler="dpm_2_ancestral", schedule="karras"))
    with pytest.raises(ModelError, match=r"^m\.yaml:9: .*dpm_2_ancestral"):
        FAMILIES["flux"].check(canvas, sampling(sampler="dpm_2_ancestral"), "m.yaml:9")


def test_an_unknown_sampler_is_refused_with_its_place() -> None:
    with pytest.raises(UsageError, match=r"^m\.yaml:9: .*eulr"):
        FAMILIES["sd15"].check(Canvas(width=64, height=64), sampling(sampler="eulr"), "m.yaml:9")


def test_distilled_guidance_is_for_models_that_are_told_it() -> None:
    canvas = Canvas(width=64, height=64)
    FAMILIES["flux"].check(canvas, sampling(distilled_guidance=3.5))
    with pytest.raises(ModelError, match="takes no distilled_guidance"):
        FAMILIES["sdxl"].check(canvas, sampling(distilled_guidance=3.5))
