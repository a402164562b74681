"""Names of samplers, schedules and fields, and what is answered to other programs' words."""

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from batchgen.errors import ModelError, UsageError
from batchgen.parts import FIELDS
from batchgen.sampling.names import (
    ALIASES,
    COGVIDEOX_SAMPLERS,
    EVERY_SAMPLER,
    FIELD_ALIASES,
    FLOW_SCHEDULES,
    SAMPLERS,
    SCHEDULES,
    check_sampling,
    explain_field,
    explain_sampler,
    explain_schedule,
)

CONF = Path(__file__).parents[2] / "conf" / "sampler"


def test_conf_has_one_file_for_each_sampler():
    assert {file.stem for file in CONF.glob("*.yaml")} == set(EVERY_SAMPLER)


@pytest.mark.parametrize("name", EVERY_SAMPLER)
def test_a_sampler_s_file_says_what_it_is_good_for_and_sets_its_two_fields(name):
    first, second, *rest = (CONF / f"{name}.yaml").read_text(encoding="utf-8").splitlines()
    assert first == "# @package _global_"
    assert second.startswith("# ")
    assert yaml.safe_load("\n".join(rest)) == {"sampler": name, "schedule": EVERY_SAMPLER[name].default_schedule}


@pytest.mark.parametrize(
    ("label", "sampler", "schedule"),
    [
        ("Euler a", "euler_ancestral", None),
        ("Euler", "euler", None),
        ("DPM++ 2M Karras", "dpmpp_2m", "karras"),
        ("dpm++ 2m  karras", "dpmpp_2m", "karras"),
        ("DPM++ 2M SDE Exponential", "dpmpp_2m_sde", "exponential"),
        ("DPM++ 3M SDE", "dpmpp_3m_sde", None),
        ("DPM++ 2S a Karras", "dpmpp_2s_ancestral", "karras"),
        ("DPM2 a", "dpm_2_ancestral", None),
        ("dpmpp_2m_karras", "dpmpp_2m", "karras"),
        ("dpmpp_2m_sde_gpu", "dpmpp_2m_sde", None),
        ("Euler SGM Uniform", "euler", "sgm_uniform"),
        ("UniPC", "uni_pc", None),
        ("UniPCMultistepScheduler", "uni_pc", None),
        ("EulerAncestralDiscreteScheduler", "euler_ancestral", None),
        ("DEIS", "deis", None),
        ("DDIM", "ddim", None),
        ("LCM", "lcm", None),
        ("CogVideoXDPMScheduler", "cogvideox_dpm", None),
    ],
)
def test_labels_of_other_programs_are_answered_with_the_right_fields(label, sampler, schedule):
    told = explain_sampler(label)
    assert told.startswith(f"unknown sampler {label!r}; here it is sampler: {sampler}")
    assert told.endswith(f"sampler: {sampler} with schedule: {schedule}" if schedule else f"sampler: {sampler}")


def test_a_misspelt_sampler_is_answered_with_the_nearest_one():
    assert "did you mean 'dpmpp_2m'?" in explain_sampler("dpmp_2m")


def test_every_alias_means_a_sampler_and_none_is_a_sampler_s_own_name():
    for label, (sampler, schedule) in ALIASES.items():
        assert label not in EVERY_SAMPLER
        assert sampler in EVERY_SAMPLER
        assert schedule is None or schedule in SCHEDULES


@pytest.mark.parametrize(
    ("label", "schedule"),
    [("Karras", "karras"), ("SGM Uniform", "sgm_uniform"), ("DDIM", "ddim_uniform"), ("trailing", "sgm_uniform")],
)
def test_schedule_labels_of_other_programs_are_answered_with_the_right_name(label, schedule):
    assert explain_schedule(label) == f"unknown schedule {label!r}; here it is schedule: {schedule}"


def test_a_misspelt_schedule_is_answered_with_the_nearest_one():
    assert "did you mean 'karras'?" in explain_schedule("karas")


@pytest.mark.parametrize(
    ("word", "field"),
    [
        ("cfg", "guidance_scale"),
        ("CFG scale", "guidance_scale"),
        ("scheduler", "schedule"),
        ("sampler_name", "sampler"),
        ("num_inference_steps", "steps"),
        ("negative", "negative_prompt"),
        ("Steps", "steps"),
        ("vae.tiling", "vae_tiling"),
    ],
)
def test_fields_of_other_programs_are_answered_with_the_right_field(word, field):
    assert explain_field(word, FIELDS) == f"unknown field {word!r}; here it is {field!r}"


@pytest.mark.parametrize("word", ["batch_size", "batch_count", "num_images_per_prompt"])
def test_a_number_of_pictures_is_answered_with_seeds(word):
    assert "use seeds" in explain_field(word, FIELDS)


def test_an_alias_of_a_field_that_is_not_known_here_lists_what_is():
    assert "known: schedule, steps" in explain_field("lora", ["steps", "schedule"])


def test_no_field_is_an_alias_of_another():
    assert not FIELD_ALIASES.keys() & FIELDS.keys()


@given(st.text())
def test_any_word_gets_one_line(word):
    for told in (explain_sampler(word), explain_schedule(word), explain_field(word, FIELDS)):
        assert len(told.splitlines()) == 1


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_pair_is_accepted_for_models_that_predict_noise(sampler, schedule):
    check_sampling(sampler, schedule, steps=2)


@pytest.mark.parametrize(("sampler", "schedule"), [("Euler a", "normal"), ("euler", "Karras")])
def test_an_unknown_name_is_refused(sampler, schedule):
    with pytest.raises(UsageError, match="here it is"):
        check_sampling(sampler, schedule)


def test_one_step_of_ddim_uniform_is_refused_with_the_least_number():
    with pytest.raises(UsageError, match="needs at least 2, not 1"):
        check_sampling("euler", "ddim_uniform", steps=1)


@pytest.mark.parametrize("sampler", [each.name for each in SAMPLERS.values() if each.stochastic])
def test_flow_matching_models_refuse_samplers_that_put_noise_back(sampler):
    with pytest.raises(ModelError, match=f"{sampler!r} is not for flow-matching models; use one of .*euler"):
        check_sampling(sampler, "normal", flow=True)


def test_flow_matching_models_refuse_schedules_without_their_shift():
    for schedule in SCHEDULES:
        if schedule in FLOW_SCHEDULES:
            check_sampling("euler", schedule, flow=True)
        else:
            with pytest.raises(ModelError, match=f"{schedule!r} is not for flow-matching models; use one of .*simple"):
                check_sampling("euler", schedule, flow=True)


@pytest.mark.parametrize("sampler", COGVIDEOX_SAMPLERS)
def test_cogvideox_has_samplers_of_its_own_which_no_other_model_takes(sampler):
    check_sampling(sampler, "simple", steps=1, cogvideox=True)
    for flow in (False, True):
        with pytest.raises(ModelError, match=f"{sampler!r} is for CogVideoX alone"):
            check_sampling(sampler, "simple", flow=flow)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_cogvideox_takes_no_other_samplers(sampler):
    with pytest.raises(ModelError, match=f"{sampler!r} is not for CogVideoX.* cogvideox_ddim, cogvideox_dpm"):
        check_sampling(sampler, "simple", cogvideox=True)


def test_cogvideox_takes_the_one_schedule_of_its_training():
    for schedule in set(SCHEDULES) - {"simple"}:
        with pytest.raises(ModelError, match=f"{schedule!r} is not for CogVideoX.* use simple"):
            check_sampling("cogvideox_ddim", schedule, steps=4, cogvideox=True)
