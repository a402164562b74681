"""Runs of steps: where they start, what they draw, what they refuse."""

import math
import random

import numpy as np
import pytest
import torch

from batchgen.diffusion.noise import BrownianNoise, FreshNoise, Origin, first_noise
from batchgen.diffusion.samplers import make_stepper
from batchgen.diffusion.solvers import SOLVERS
from batchgen.errors import ModelError, UsageError
from batchgen.parts import Sampling
from batchgen.sampling.names import SAMPLERS, SCHEDULES

CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "prediction_type": "v_prediction"}
SHAPE = (4, 6, 5)
PRESERVING = ("dpmpp_2m", "dpmpp_2m_sde", "uni_pc", "uni_pc_bh2")


def stepper_for(sampler="euler", schedule="normal", steps=4, seeds=(3,), config=CONFIG, **more):
    sampling = Sampling(sampler=sampler, schedule=schedule, steps=steps, guidance_scale=1.0)
    return make_stepper(sampling, scheduler_config=config, seeds=seeds, shape=more.pop("shape", SHAPE), **more)


def run(stepper, latents):
    """Denoise with a network that is wrong, but the same for all and different at every timestep."""
    for timestep in stepper.timesteps:
        latents = stepper.step(torch.tanh(stepper.model_input(latents)) * (0.2 + timestep / 2000), latents)
    return latents


def picture(sampler, schedule, steps, seeds):
    return run(stepper := stepper_for(sampler, schedule, steps, seeds), stepper.first_latent(first_noise(seeds, SHAPE)))


def test_every_sampler_has_a_solver():
    assert SOLVERS.keys() == SAMPLERS.keys()


# Numbers computed apart: sqrt(1 + s^2) where s = 14.6146412293 is the level at which training ended, else s itself;
# divided by sqrt(1 + s^2) for schedulers whose latents have variance 1. ddim_uniform starts at 4.1166964793 with 4
# steps, and with one step more (of which uni_pc leaves out the last but one) at 5.1344311175.
@pytest.mark.parametrize(
    ("sampler", "schedule", "scale"),
    [
        ("euler", "normal", 14.6488134),
        ("euler", "karras", 14.6488134),
        ("heun", "beta", 14.6488134),
        ("lcm", "sgm_uniform", 14.6488134),
        ("dpmpp_sde", "simple", 14.6488134),
        ("dpm_2", "exponential", 14.6488134),
        ("euler", "ddim_uniform", 4.1166965),
        ("deis", "ddim_uniform", 4.1166965),
        ("dpmpp_2m", "normal", 1.0),
        ("uni_pc", "karras", 1.0),
        ("dpmpp_2m", "ddim_uniform", 0.9717406),
        ("uni_pc", "ddim_uniform", 0.9815566),
    ],
)
def test_the_first_latent_is_noise_in_comfyui_s_scale(sampler, schedule, scale):
    noise = first_noise([3], SHAPE)
    found = stepper_for(sampler, schedule).first_latent(noise)
    assert found.numpy() == pytest.approx((noise * scale).numpy(), rel=1e-6)


@pytest.mark.parametrize(("sampler", "scale"), [("euler", 14.6146412293), ("dpmpp_2m", 0.99766711)])
def test_the_first_latent_is_noise_in_a1111_s_scale_where_that_is_asked_for(sampler, scale):
    """A1111 multiplies by sigma; schedulers whose latents have variance 1 get sigma / sqrt(1 + sigma^2)."""
    noise = first_noise([3], SHAPE)

    found = stepper_for(sampler).first_latent(noise, "sigma")

    assert found.numpy() == pytest.approx((noise * scale).numpy(), rel=1e-6)


@pytest.mark.parametrize("sampler", ["euler", "dpmpp_2m"])
def test_a_picture_to_start_from_gets_the_noise_of_the_first_level(sampler):
    stepper = stepper_for(sampler, "karras", steps=8, strength=0.5)
    latent, noise = torch.full((1, *SHAPE), 0.5), first_noise([3], SHAPE)
    mixed = latent + 1.0459076264 * noise
    expected = mixed / math.sqrt(1 + 1.0459076264**2) if sampler in PRESERVING else mixed
    assert stepper.steps == 8
    assert stepper.noised(latent, noise).numpy() == pytest.approx(expected.numpy(), rel=1e-5)


def test_a_flow_matching_run_starts_as_a_mix():
    latent, noise = torch.full((1, *SHAPE), 0.5), first_noise([3], SHAPE)
    whole = stepper_for(config={"shift": 1.0}, schedule="simple", flow=True)
    assert torch.equal(whole.first_latent(noise), noise)
    half = stepper_for(config={"shift": 1.0}, schedule="simple", flow=True, strength=0.5)
    assert half.noised(latent, noise).numpy() == pytest.approx((0.5 * latent + 0.5 * noise).numpy(), rel=1e-6)


@pytest.mark.parametrize("shape", [(16, 128, 128), (4096, 64)])
def test_flux_bends_time_by_the_size_of_the_picture_however_its_latent_is_packed(shape):
    config = {"use_dynamic_shifting": True}
    found = stepper_for(config=config, flow=True, shape=shape).sigmas
    assert found == pytest.approx([1.0, 0.86337637584, 0.61249212723, 0.00099652394671, 0.0])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_every_pair_works_with_few_steps(sampler, schedule):
    for steps in (1, 2, 3):
        if (steps, schedule) == (1, "ddim_uniform"):
            continue
        stepper = stepper_for(sampler, schedule, steps)
        taken, latents = [], stepper.first_latent(first_noise([3], SHAPE))
        for timestep in stepper.timesteps:
            latents = stepper.step(0.3 * stepper.model_input(latents) + timestep / 5000, latents)
            taken.append(stepper.steps_taken)
        assert latents.isfinite().all()
        assert latents.dtype == torch.float32
        assert taken == sorted(taken)
        assert sorted({0, *taken}) == list(range(stepper.steps + 1))
        assert len(taken) == SAMPLERS[sampler].evaluations_per_step * (stepper.steps - 1) + 1


@pytest.mark.parametrize("sampler", sorted(set(SAMPLERS) - {"uni_pc", "uni_pc_bh2"}))
def test_one_step_gives_what_the_denoiser_sees(sampler):
    stepper = stepper_for(sampler, steps=1)
    latents = stepper.first_latent(first_noise([3], SHAPE))
    scaled, sigma = stepper.model_input(latents), 14.6146412293
    output = torch.tanh(scaled)
    expected = scaled / math.sqrt(1 + sigma**2) - output * sigma / math.sqrt(1 + sigma**2)
    assert stepper.step(output, latents).numpy() == pytest.approx(expected.numpy(), rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_picture_in_a_batch_is_the_picture_alone(sampler):
    seeds = (5, 0, 2**64 - 1)
    together = picture(sampler, "karras", 5, seeds)
    for place, seed in enumerate(seeds):
        alone = picture(sampler, "karras", 5, (seed,))[0]
        assert together[place].numpy() == pytest.approx(alone.numpy(), rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("sampler", [each.name for each in SAMPLERS.values() if each.stochastic])
def test_a_stochastic_sampler_draws_other_noise_for_another_seed(sampler):
    start = torch.ones(2, *SHAPE)
    first, second = run(stepper_for(sampler, steps=3, seeds=(1, 2)), start)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("sampler", [each.name for each in SAMPLERS.values() if not each.stochastic])
def test_other_samplers_draw_none(sampler):
    start = torch.ones(2, *SHAPE)
    first, second = run(stepper_for(sampler, steps=3, seeds=(1, 2)), start)
    assert torch.equal(first, second)


def global_generators():
    numpy_s = np.random.get_state(legacy=False)["state"]  # noqa: NPY002 - the legacy generator is the global one
    return torch.get_rng_state().tolist(), random.getstate(), numpy_s["key"].tolist(), numpy_s["pos"]


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_run_leaves_the_global_generators_alone_and_takes_nothing_from_them(sampler):
    before = global_generators()
    first = picture(sampler, "normal", 3, (5,))
    assert global_generators() == before
    with torch.random.fork_rng():
        torch.rand(17)
        assert torch.equal(picture(sampler, "normal", 3, (5,)), first)


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_everything_is_computed_where_the_latents_are(sampler):
    stepper = stepper_for(sampler, "karras", 5, seeds=(1, 2))
    found = run(stepper, stepper.first_latent(torch.zeros(2, *SHAPE, device="meta")))
    assert found.device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_latents_stay_single_precision_whatever_the_network_gives(sampler, dtype):
    stepper = stepper_for(sampler, steps=3)
    latents = stepper.first_latent(first_noise([3], SHAPE).to(dtype))
    for _ in stepper.timesteps:
        assert latents.dtype == torch.float32
        latents = stepper.step(stepper.model_input(latents).to(dtype), latents)
    assert latents.dtype == torch.float32


def test_settings_of_another_sampler_in_the_configuration_change_nothing():
    foreign = {
        "_class_name": "DDIMScheduler",
        "clip_sample": True,
        "thresholding": True,
        "timestep_spacing": "leading",
        "steps_offset": 1,
        "use_karras_sigmas": True,
        "solver_order": 3,
        "final_sigmas_type": "sigma_min",
        "algorithm_type": "dpmsolver",
    }
    for sampler in SAMPLERS:
        start = first_noise([3], SHAPE)
        plain, odd = stepper_for(sampler), stepper_for(sampler, config=CONFIG | foreign)
        assert torch.equal(run(plain, plain.first_latent(start)), run(odd, odd.first_latent(start)))


def test_a_prediction_that_is_not_supported_is_refused_by_name():
    with pytest.raises(ModelError, match="'sample' is not supported"):
        stepper_for(config=CONFIG | {"prediction_type": "sample"})


def test_what_names_refuse_is_refused_before_anything_is_built():
    with pytest.raises(UsageError, match="euler_ancestral"):
        stepper_for("Euler a")
    with pytest.raises(ModelError, match="flow-matching"):
        stepper_for("euler_ancestral", config={}, flow=True)
    with pytest.raises(UsageError, match="at least 2"):
        stepper_for(schedule="ddim_uniform", steps=1)


def test_noise_belongs_to_the_seed_and_not_to_the_place_in_the_batch():
    expected = torch.randn(1, *SHAPE, generator=torch.Generator().manual_seed(9))[0]
    assert torch.equal(first_noise([4, 9], SHAPE)[1], expected)
    together, alone = FreshNoise([4, 9, 2], SHAPE), FreshNoise([9], SHAPE)
    for _ in range(3):
        assert torch.equal(together(2.0, 1.0)[1], alone(2.0, 1.0)[0])
    levels = np.array([14.6, 3.0, 0.5, 0.0])
    paths, path = BrownianNoise([4, 9, 2], SHAPE, levels), BrownianNoise([9], SHAPE, levels)
    for ends in [(14.6, 3.0), (3.0, 0.5)]:
        assert torch.equal(paths(*ends)[1], path(*ends)[0])


def test_noise_that_is_continued_begins_as_any_other_and_goes_on_where_the_first_latent_ended():
    """A1111 on the CPU: one generator for the first latent and for all steps."""
    generator = torch.Generator().manual_seed(9)
    expected = [torch.randn(1, *SHAPE, generator=generator) for _ in range(3)]
    origin = Origin(seed=9, device="cpu_continued")
    fresh = FreshNoise([origin], SHAPE)

    found = [first_noise([origin], SHAPE), fresh(2.0, 1.0), fresh(1.0, 0.5)]

    assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
    assert torch.equal(FreshNoise([9], SHAPE)(2.0, 1.0), expected[0])


@pytest.mark.parametrize("sampler", ["euler_ancestral", "dpm_2_ancestral"])
def test_ancestral_samplers_draw_from_the_continued_generator(sampler):
    def noise_of(device):
        stepper = stepper_for(sampler, steps=2, seeds=[Origin(seed=3, device=device)])
        return run(stepper, stepper.first_latent(first_noise([3], SHAPE)))

    assert not torch.allclose(noise_of("cpu"), noise_of("cpu_continued"))


def test_a_brownian_step_is_the_sum_of_smaller_ones_and_has_variance_one():
    noise = BrownianNoise(range(40), (100,), np.array([14.6, 5.0, 0.5]))
    whole, parts = (
        noise(14.6, 0.5) * math.sqrt(14.1),
        noise(14.6, 5.0) * math.sqrt(9.6) + noise(5.0, 0.5) * math.sqrt(4.5),
    )
    assert whole.numpy() == pytest.approx(parts.numpy(), abs=1e-4)
    assert float(noise(14.6, 5.0).std()) == pytest.approx(1.0, abs=0.05)
    assert abs(float(torch.corrcoef(torch.stack([noise(14.6, 5.0).flatten(), noise(5.0, 0.5).flatten()]))[0, 1])) < 0.05


def test_a_level_off_by_a_rounding_error_draws_the_same_noise():
    noise = BrownianNoise([1], SHAPE, np.array([14.6, 5.0, 0.5]))
    assert torch.equal(noise(5.0 * (1 + 1e-7), 0.5), noise(5.0, 0.5))
