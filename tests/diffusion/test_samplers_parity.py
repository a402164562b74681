"""Every sampler takes the steps that ComfyUI's takes, on every schedule.

The samplers are written a second time below, in float64 numpy, from the papers and from the formulas that k-diffusion
and ComfyUI publish; they share no code with the product. Both run on a denoiser that is known exactly: each value of a
latent is drawn from a mixture of three normal distributions, so the best guess of it under noise has a closed form. The
network gives that guess as noise, or as velocity, at the level of a whole training step, as real ones do.

Compared is what goes into the denoiser at every call, and the end; not the end alone, where a good denoiser hides much.
"""

import math
import warnings
from itertools import pairwise

import numpy as np
import pytest
import torch
import torchsde

from batchgen.diffusion.noise import first_noise
from batchgen.diffusion.samplers import make_stepper
from batchgen.parts import Sampling
from batchgen.sampling.names import FLOW_SCHEDULES, SAMPLERS, SCHEDULES

CONFIG = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}
SHAPE = (4, 6, 5)
SEEDS = (7, 2**64 - 1)
MEANS, WEIGHTS, SPREAD = np.array([-1.1, 0.2, 1.4]), np.array([0.3, 0.5, 0.2]), 0.25
CLOSE = 2e-5
CLOSE_FOR_FLOW = 1e-4  # slopes are divided by levels down to 0.001 in float32


def training_levels():
    kept, levels = 1.0, []
    for step in range(1000):
        kept *= 1.0 - (math.sqrt(0.00085) + (math.sqrt(0.012) - math.sqrt(0.00085)) * step / 999) ** 2
        levels.append(math.sqrt(1.0 / kept - 1.0))
    return np.array(levels)


TRAINED = training_levels()
LOG_TRAINED = np.log(TRAINED)


def guess(latents, sigma):
    """The mean of the picture given latents = picture + sigma * noise."""
    total = SPREAD**2 + sigma**2
    distance = (latents[..., None] - MEANS) ** 2 / (2 * total)
    share = WEIGHTS * np.exp(distance.min(-1, keepdims=True) - distance)
    share /= share.sum(-1, keepdims=True)
    return ((MEANS * sigma**2 + latents[..., None] * SPREAD**2) / total * share).sum(-1)


def network(scaled, timestep, prediction):
    """What a network gives that was trained to perfection: for latents of variance 1 and a training step."""
    sigma = TRAINED[round(timestep)]
    signal = 1 / math.sqrt(1 + sigma**2)
    picture = guess(scaled / signal, sigma)
    noise = (scaled - signal * picture) / (sigma * signal)
    return noise if prediction == "epsilon" else signal * noise - sigma * signal * picture


def nearest(sigma):
    """The training step next to a level; of two equally near, the later."""
    distances = np.abs(math.log(sigma) - LOG_TRAINED).round(11)
    return int(np.flatnonzero(distances == distances.min()).max())


class Denoiser:
    """ComfyUI's view of a model: latents and level in, picture out. Remembers what it saw."""

    def __init__(self, prediction):
        self.prediction, self.seen = prediction, []

    def __call__(self, latents, sigma):
        self.seen.append(latents / math.sqrt(sigma**2 + 1))
        output = network(self.seen[-1], nearest(sigma), self.prediction)
        if self.prediction == "epsilon":
            return latents - sigma * output
        return latents / (sigma**2 + 1) - output * sigma / math.sqrt(sigma**2 + 1)


class Fresh:
    """ComfyUI's noise of ancestral steps."""

    def __init__(self, _sigmas):
        self.generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]

    def __call__(self, _sigma, _sigma_next):
        return np.stack([torch.randn((1, *SHAPE), generator=each).numpy()[0] for each in self.generators]).astype(float)


class Brownian:
    """ComfyUI's noise of stochastic differential equations, on float32 levels as it has them."""

    def __init__(self, sigmas):
        low, high = (float(np.float32(each)) for each in (min(s for s in sigmas if s > 0), max(sigmas)))
        nothing = torch.zeros(1, *SHAPE)
        self.trees = [torchsde.BrownianTree(low, nothing, high, entropy=seed) for seed in SEEDS] if low < high else []

    def __call__(self, sigma, sigma_next):
        ends = sorted((float(np.float32(sigma)), float(np.float32(sigma_next))))
        sign = 1 if sigma < sigma_next else -1
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # the tree cuts its own end to six digits, then asks for it
            drawn = np.stack([tree(*ends).numpy()[0] for tree in self.trees]).astype(float)
        return sign * drawn / math.sqrt(abs(sigma_next - sigma))


def down_up(sigma, sigma_next):
    up = min(sigma_next, (sigma_next**2 * (sigma**2 - sigma_next**2) / sigma**2) ** 0.5)
    return (sigma_next**2 - up**2) ** 0.5, up


def euler(model, x, sigmas, noise):
    for sigma, sigma_next in pairwise(sigmas):
        x = x + (x - model(x, sigma)) / sigma * (sigma_next - sigma)
    return x


def euler_ancestral(model, x, sigmas, noise):
    for sigma, sigma_next in pairwise(sigmas):
        down, up = down_up(sigma, sigma_next)
        x = x + (x - model(x, sigma)) / sigma * (down - sigma)
        if sigma_next > 0:
            x = x + noise(sigma, sigma_next) * up
    return x


def heun(model, x, sigmas, noise):
    for sigma, sigma_next in pairwise(sigmas):
        slope = (x - model(x, sigma)) / sigma
        ahead = x + slope * (sigma_next - sigma)
        if sigma_next > 0:
            slope = (slope + (ahead - model(ahead, sigma_next)) / sigma_next) / 2
        x = x + slope * (sigma_next - sigma)
    return x


def dpm_2(model, x, sigmas, noise):
    for sigma, sigma_next in pairwise(sigmas):
        slope = (x - model(x, sigma)) / sigma
        if sigma_next > 0:
            middle = math.exp((math.log(sigma) + math.log(sigma_next)) / 2)
            halfway = x + slope * (middle - sigma)
            slope = (halfway - model(halfway, middle)) / middle
        x = x + slope * (sigma_next - sigma)
    return x


def dpm_2_ancestral(model, x, sigmas, noise):
    for sigma, sigma_next in pairwise(sigmas):
        down, up = down_up(sigma, sigma_next)
        slope = (x - model(x, sigma)) / sigma
        if down == 0:
            x = x + slope * (down - sigma)
            continue
        middle = math.exp((math.log(sigma) + math.log(down)) / 2)
        halfway = x + slope * (middle - sigma)
        x = x + (halfway - model(halfway, middle)) / middle * (down - sigma) + noise(sigma, sigma_next) * up
    return x


def lms(model, x, sigmas, noise):
    slopes = []
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        picture = model(x, sigma)
        if sigma_next == 0:
            return picture
        slopes = [(x - picture) / sigma, *slopes[:3]]
        known = [sigmas[index - back] for back in range(len(slopes))]
        for place, slope in enumerate(slopes):
            basis = np.polynomial.Polynomial([1.0])
            for other in known[:place] + known[place + 1 :]:
                basis *= np.polynomial.Polynomial([-other, 1.0]) / (known[place] - other)
            integral = basis.integ()
            x = x + (integral(sigma_next) - integral(sigma)) * slope
    return x


def dpmpp_2s_ancestral(model, x, sigmas, noise):
    for sigma, sigma_next in pairwise(sigmas):
        picture = model(x, sigma)
        down, up = down_up(sigma, sigma_next)
        if down == 0:
            x = x + (x - picture) / sigma * (down - sigma)
            continue
        t, t_next = -math.log(sigma), -math.log(down)
        h = t_next - t
        s = t + h / 2
        halfway = math.exp(-s) / math.exp(-t) * x - math.expm1(-h / 2) * picture
        x = math.exp(-t_next) / math.exp(-t) * x - math.expm1(-h) * model(halfway, math.exp(-s))
        x = x + noise(sigma, sigma_next) * up
    return x


def dpmpp_sde(model, x, sigmas, noise):
    for sigma, sigma_next in pairwise(sigmas):
        picture = model(x, sigma)
        if sigma_next == 0:
            x = x + (x - picture) / sigma * (sigma_next - sigma)
            continue
        t, t_next = -math.log(sigma), -math.log(sigma_next)
        s = t + (t_next - t) / 2
        down, up = down_up(math.exp(-t), math.exp(-s))
        halfway = down / sigma * x - math.expm1(t + math.log(down)) * picture
        halfway = halfway + noise(sigma, math.exp(-s)) * up
        second = model(halfway, math.exp(-s))
        down, up = down_up(sigma, sigma_next)
        x = down / sigma * x - math.expm1(t + math.log(down)) * second
        x = x + noise(sigma, sigma_next) * up
    return x


def dpmpp_2m(model, x, sigmas, noise):
    before, h_before = None, None
    for sigma, sigma_next in pairwise(sigmas):
        picture = model(x, sigma)
        if sigma_next == 0:
            return picture
        h = math.log(sigma) - math.log(sigma_next)
        blend = picture
        if before is not None:
            r = h_before / h
            blend = (1 + 1 / (2 * r)) * picture - 1 / (2 * r) * before
        x = sigma_next / sigma * x - math.expm1(-h) * blend
        before, h_before = picture, h
    return x


def dpmpp_2m_sde(model, x, sigmas, noise):
    before, h_before = None, None
    for sigma, sigma_next in pairwise(sigmas):
        picture = model(x, sigma)
        if sigma_next == 0:
            return picture
        h = math.log(sigma) - math.log(sigma_next)
        x = sigma_next / sigma * math.exp(-h) * x - math.expm1(-2 * h) * picture
        if before is not None:
            x = x - 0.5 * math.expm1(-2 * h) * (h / h_before) * (picture - before)
        x = x + noise(sigma, sigma_next) * sigma_next * math.sqrt(-math.expm1(-2 * h))
        before, h_before = picture, h
    return x


def dpmpp_3m_sde(model, x, sigmas, noise):
    first, second, h_1, h_2 = None, None, None, None
    for sigma, sigma_next in pairwise(sigmas):
        picture = model(x, sigma)
        if sigma_next == 0:
            return picture
        h = math.log(sigma) - math.log(sigma_next)
        h_eta = 2 * h
        x = math.exp(-h_eta) * x - math.expm1(-h_eta) * picture
        phi_2 = math.expm1(-h_eta) / h_eta + 1
        if h_2 is not None:
            r0, r1 = h_1 / h, h_2 / h
            d1_0, d1_1 = (picture - first) / r0, (first - second) / r1
            d1 = d1_0 + (d1_0 - d1_1) * r0 / (r0 + r1)
            d2 = (d1_0 - d1_1) / (r0 + r1)
            x = x + phi_2 * d1 - (phi_2 / h_eta - 0.5) * d2
        elif h_1 is not None:
            x = x + phi_2 * (picture - first) / (h_1 / h)
        x = x + noise(sigma, sigma_next) * sigma_next * math.sqrt(-math.expm1(-2 * h))
        first, second, h_1, h_2 = picture, first, h, h_1
    return x


def ddpm(model, x, sigmas, noise):
    for sigma, sigma_next in pairwise(sigmas):
        eps = (x - model(x, sigma)) / sigma
        kept, kept_next = 1 / (sigma**2 + 1), 1 / (sigma_next**2 + 1)
        alpha = kept / kept_next
        mean = math.sqrt(1 / alpha) * (x * math.sqrt(kept) - (1 - alpha) * eps / math.sqrt(1 - kept))
        if sigma_next > 0:
            mean = mean + math.sqrt((1 - alpha) * (1 - kept_next) / (1 - kept)) * noise(sigma, sigma_next)
        x = mean * math.sqrt(1 + sigma_next**2)
    return x


def uni_pc_of(variant):
    def sample(model, x, sigmas, noise):
        steps = len(sigmas) - 1
        most = max(min(3, steps - 1), 1)
        lambdas, pictures = [-math.log(sigma) for sigma in sigmas], [model(x, sigmas[0])]
        for index in range(1, steps + 1):
            order = min(most, index, steps + 1 - index)
            h = lambdas[index] - lambdas[index - 1]
            base = sigmas[index] / sigmas[index - 1] * x - math.expm1(-h) * pictures[-1]
            scale = -h if variant == "bh1" else math.expm1(-h)
            ratios = [(lambdas[index - 1 - back] - lambdas[index - 1]) / h for back in range(1, order)]
            bends = [(pictures[-1 - back] - pictures[-1]) / ratios[back - 1] for back in range(1, order)]
            phi, targets = math.expm1(-h) / -h - 1, []
            for power in range(1, order + 1):
                targets.append(phi * math.factorial(power) / scale)
                phi = phi / -h - 1 / math.factorial(power + 1)
            powers = np.array([[ratio**power for ratio in [*ratios, 1.0]] for power in range(order)])
            ahead = [0.5] if order == 2 else np.linalg.solve(powers[:-1, :-1], targets[:-1])
            guessed = base - scale * sum((a * b for a, b in zip(ahead, bends, strict=True)), start=0.0)
            if index == steps:
                return guessed
            picture = model(guessed, sigmas[index])
            *back, last = [0.5] if order == 1 else np.linalg.solve(powers, targets)
            bent = sum((a * b for a, b in zip(back, bends, strict=True)), start=0.0)
            x = base - scale * (bent + last * (picture - pictures[-1]))
            pictures.append(picture)
        raise AssertionError

    return sample


def lcm(model, x, sigmas, noise):
    for sigma, sigma_next in pairwise(sigmas):
        x = model(x, sigma)
        if sigma_next > 0:
            x = x + sigma_next * noise(sigma, sigma_next)
    return x


def deis(model, x, sigmas, noise):
    beta_d = 2 * (math.log(0.002**2 + 1) / 1e-3 - math.log(80**2 + 1)) / (1e-3 - 1)
    beta_min = math.log(80**2 + 1) - 0.5 * beta_d
    times = [(math.sqrt(beta_min**2 + 2 * beta_d * math.log(s**2 + 1)) - beta_min) / beta_d for s in sigmas]
    slopes = []
    for index, (sigma, sigma_next) in enumerate(pairwise(sigmas)):
        slopes = [(x - model(x, sigma)) / sigma, *slopes[:2]]
        if len(slopes) == 1 or sigma_next == 0:
            x = x + (sigma_next - sigma) * slopes[0]
            continue
        taus = np.linspace(times[index], times[index + 1], 10_000)
        alpha = np.exp(-0.5 * taus**2 * beta_d - taus * beta_min)
        integrand = 0.5 * (taus * beta_d + beta_min) / np.sqrt(alpha * (1 - alpha))
        known = [times[index - back] for back in range(len(slopes))]
        for place, slope in enumerate(slopes):
            basis = np.ones_like(taus)
            for other in known[:place] + known[place + 1 :]:
                basis *= (taus - other) / (known[place] - other)
            x = x + np.sum(integrand * basis) * (times[index + 1] - times[index]) / 10_000 * slope
    return x


WRITTEN_AGAIN = {
    "euler": (euler, Fresh),
    "euler_ancestral": (euler_ancestral, Fresh),
    "heun": (heun, Fresh),
    "dpm_2": (dpm_2, Fresh),
    "dpm_2_ancestral": (dpm_2_ancestral, Fresh),
    "lms": (lms, Fresh),
    "dpmpp_2s_ancestral": (dpmpp_2s_ancestral, Fresh),
    "dpmpp_sde": (dpmpp_sde, Brownian),
    "dpmpp_2m": (dpmpp_2m, Fresh),
    "dpmpp_2m_sde": (dpmpp_2m_sde, Brownian),
    "dpmpp_3m_sde": (dpmpp_3m_sde, Brownian),
    "ddim": (euler, Fresh),
    "ddpm": (ddpm, Fresh),
    "uni_pc": (uni_pc_of("bh1"), Fresh),
    "uni_pc_bh2": (uni_pc_of("bh2"), Fresh),
    "lcm": (lcm, Fresh),
    "deis": (deis, Fresh),
}


def start_of(sigmas, noise):
    return noise * (math.sqrt(1 + sigmas[0] ** 2) if math.isclose(sigmas[0], TRAINED[-1], rel_tol=1e-5) else sigmas[0])


def product_run(sampler, schedule, steps, prediction):
    """The product's trajectory in the scale where the picture keeps its own, and its levels."""
    sampling = Sampling(sampler=sampler, schedule=schedule, steps=steps, guidance_scale=1.0)
    config = CONFIG | {"prediction_type": prediction}
    stepper = make_stepper(sampling, scheduler_config=config, seeds=SEEDS, shape=SHAPE)
    latents, seen = stepper.first_latent(first_noise(SEEDS, SHAPE)), []
    for timestep in stepper.timesteps:
        scaled = stepper.model_input(latents)
        seen.append(scaled.numpy().astype(float))
        output = torch.from_numpy(network(scaled.numpy().astype(float), timestep, prediction))
        latents = stepper.step(output.float(), latents)
    return stepper, seen, latents.numpy().astype(float)


def difference(sampler, schedule, steps, prediction):
    """The largest difference of anything the denoiser sees or the end, relative to its largest value."""
    stepper, seen, end = product_run(sampler, schedule, steps, prediction)
    formula, noise = WRITTEN_AGAIN[sampler]
    levels = stepper.sigmas.tolist()
    model, start = Denoiser(prediction), start_of(levels, first_noise(SEEDS, SHAPE).numpy().astype(float))
    expected_end = formula(model, start, levels, noise(levels))
    assert len(seen) == len(model.seen)
    pairs = [*zip(seen, model.seen, strict=True), (end, expected_end)]
    return max(float(np.abs(mine - theirs).max() / np.abs(theirs).max()) for mine, theirs in pairs)


class FlowDenoiser:
    """ComfyUI's view of a flow-matching model: latents are a mix of picture and noise, and go in as they are."""

    def __init__(self):
        self.seen = []

    def __call__(self, latents, sigma):
        self.seen.append(latents)
        return latents - sigma * velocity(latents, 1000 * sigma)


def velocity(latents, timestep):
    """What a perfect flow-matching network gives, where pictures are normal around 0.3 with deviation 0.8."""
    sigma = timestep / 1000
    kept = (1 - sigma) * 0.8**2 / (((1 - sigma) * 0.8) ** 2 + sigma**2)
    return (latents - 0.3 - kept * (latents - (1 - sigma) * 0.3)) / sigma


@pytest.mark.parametrize("schedule", FLOW_SCHEDULES)
@pytest.mark.parametrize("sampler", [each.name for each in SAMPLERS.values() if each.flow])
def test_a_sampler_takes_comfyui_s_steps_on_a_flow_matching_model(sampler, schedule):
    config, noise = {"use_dynamic_shifting": True}, first_noise(SEEDS, SHAPE)
    for steps in (4, 8):
        sampling = Sampling(sampler=sampler, schedule=schedule, steps=steps, guidance_scale=1.0)
        stepper = make_stepper(sampling, scheduler_config=config, seeds=SEEDS, shape=SHAPE, flow=True)
        latents, seen, model = stepper.first_latent(noise), [], FlowDenoiser()
        for timestep in stepper.timesteps:
            seen.append(stepper.model_input(latents))
            latents = stepper.step(velocity(seen[-1].double(), timestep), latents)
        end = WRITTEN_AGAIN[sampler][0](model, noise.numpy().astype(float), stepper.sigmas.tolist(), None)
        for mine, theirs in zip([*seen, latents], [*model.seen, end], strict=True):
            assert np.abs(mine.numpy() - theirs).max() <= CLOSE_FOR_FLOW * np.abs(theirs).max()


def test_every_sampler_is_written_again():
    assert WRITTEN_AGAIN.keys() == SAMPLERS.keys()


@pytest.mark.parametrize("prediction", ["epsilon", "v_prediction"])
@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_sampler_takes_comfyui_s_steps(sampler, schedule, prediction):
    for steps in (4, 8):
        assert difference(sampler, schedule, steps, prediction) <= CLOSE
