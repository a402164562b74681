"""Runs that begin with a picture, against ComfyUI's formulas written a second time."""

from itertools import pairwise
from math import expm1, log, sqrt
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from batchgen.diffusion.begun import Beginnings
from batchgen.diffusion.decoding import Decoder, to_pixels
from batchgen.diffusion.engine import DiffusionEngine
from batchgen.diffusion.loading import load_vae
from batchgen.diffusion.samplers import make_stepper
from batchgen.job import File
from batchgen.parts import Sampling
from batchgen.sampling.schedules import flow_table, sigmas, training_table

SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
KINDS = {
    "epsilon": SD,
    "v_prediction": SD | {"prediction_type": "v_prediction"},
    "flow": {"shift": 3.0, "num_train_timesteps": 1000},
}
SHAPE = (4, 6, 6)


def stepper_of(kind, sampler="euler", schedule="simple", steps=5, strength=None):
    sampling = Sampling(sampler=sampler, schedule=schedule, steps=steps, guidance_scale=1.0)
    return make_stepper(
        sampling, scheduler_config=KINDS[kind], seeds=[3], shape=SHAPE, flow=kind == "flow", strength=strength
    )


def drawn(seed, *shape):
    return torch.randn((1, *(shape or SHAPE)), generator=torch.Generator().manual_seed(seed))


def model(latents):
    """What stands for a denoiser: depends on all of its input, and on places beside each other."""
    return torch.tanh(0.7 * latents + 0.2 * latents.roll(1, -1))


def comfyui(kind, levels, source, noise, mask, sampler):
    """Sample as KSamplerX0Inpaint and k-diffusion's samplers do, in float64."""
    source, noise, mask = source.double(), noise.double(), mask.double()

    def noised(level):
        return (1 - level) * source + level * noise if kind == "flow" else source + level * noise

    def denoised(x, level):
        x = x * mask + noised(level) * (1 - mask)
        if kind == "flow":
            found = x - level * model(x)
        else:
            output = model(x / sqrt(level**2 + 1))
            v = x / (level**2 + 1) - output * level / sqrt(level**2 + 1)
            found = x - level * output if kind == "epsilon" else v
        return found * mask + source * (1 - mask)

    x, old, old_step = noised(levels[0]), None, None
    for level, after in pairwise(levels):
        seen = denoised(x, level)
        if sampler == "euler":
            x = x + (x - seen) / level * (after - level)
        elif after == 0:
            x = seen
        else:
            step = log(level / after)
            towards = seen if old is None else seen + (seen - old) * step / (2 * old_step)
            x, old, old_step = after / level * x - expm1(-step) * towards, seen, step
    return x


@pytest.mark.parametrize("strength", [0.5, 0.8])
@pytest.mark.parametrize(
    ("kind", "sampler"),
    [
        ("epsilon", "euler"),
        ("v_prediction", "euler"),
        ("flow", "euler"),
        ("epsilon", "dpmpp_2m"),
        ("v_prediction", "dpmpp_2m"),
    ],
)
def test_masks_are_blended_as_comfyui_does_also_on_a_soft_edge(kind, sampler, strength):
    source, noise = drawn(1), drawn(2)
    mask = torch.zeros(1, 1, 6, 6)
    mask[..., 2:] = 1.0
    mask[..., 2] = 0.3
    stepper = stepper_of(kind, sampler, strength=strength)

    x = stepper.noised(source, noise)
    for _ in stepper.timesteps:
        kept = stepper.kept(x, source, noise, mask)
        output = model(stepper.model_input(kept))
        x = stepper.step(stepper.seeing(output, kept, x, source, mask), x)

    wanted = comfyui(kind, stepper.sigmas.tolist(), source, noise, mask, sampler)
    torch.testing.assert_close(x.double(), wanted, rtol=2e-3, atol=2e-3)
    torch.testing.assert_close(x[..., :2], source[..., :2], rtol=1e-3, atol=1e-3)
    assert (x[..., 3:] - source[..., 3:]).abs().max() > 0.1


@pytest.mark.parametrize("kind", ["epsilon", "flow"])
@pytest.mark.parametrize(("steps", "strength"), [(7, 0.3), (4, 0.9), (1, 0.25), (20, 0.55)])
def test_exactly_the_steps_asked_for_are_taken_the_last_of_more(kind, steps, strength):
    table = flow_table(KINDS["flow"], tokens=9) if kind == "flow" else training_table(SD)
    whole = sigmas("simple", int(steps / strength), table, sampler="euler")

    stepper = stepper_of(kind, steps=steps, strength=strength)

    assert len(stepper.timesteps) == stepper.steps == steps
    np.testing.assert_array_equal(stepper.sigmas, whole[-(steps + 1) :])


def test_a_picture_gets_the_noise_of_its_first_level_and_nothing_else_does_more():
    source, noise = drawn(1), drawn(2)
    half = stepper_of("epsilon", strength=0.5)
    torch.testing.assert_close(half.noised(source, noise), source + float(half.sigmas[0]) * noise)
    full = stepper_of("epsilon", strength=1.0)
    highest = float(full.sigmas[0])
    torch.testing.assert_close(full.noised(source, noise), source + sqrt(1 + highest**2) * noise)
    assert torch.equal(stepper_of("epsilon").first_latent(noise), full.noised(torch.zeros_like(noise), noise))
    flow = stepper_of("flow", strength=0.5)
    first = float(flow.sigmas[0])
    torch.testing.assert_close(flow.noised(source, noise), (1 - first) * source + first * noise)


def test_truncation_is_the_floor_of_255_times_the_value():
    values = torch.linspace(-1.1, 1.1, 999).repeat(3, 1).reshape(3, 27, 37)
    exact = ((values + 1) / 2).clamp(0, 1) * 255
    assert (to_pixels(values, "truncate") == exact.floor().permute(1, 2, 0).numpy()).all()
    assert (to_pixels(values, "round") != to_pixels(values, "truncate")).mean() > 0.4


@pytest.fixture
def pictures(tmp_path):
    """A source and a mask of its right half."""
    rng = np.random.default_rng(4)
    small = Image.fromarray(rng.integers(0, 256, (4, 4, 3), dtype=np.uint8))
    small.resize((32, 32), Image.Resampling.BICUBIC).save(tmp_path / "s.png")
    mask = Image.new("L", (32, 32))
    mask.paste(255, (16, 0, 32, 32))
    mask.save(tmp_path / "m.png")
    return tuple(File(digest=name, name=name, path=str(tmp_path / name)) for name in ("s.png", "m.png"))


@pytest.fixture
def decoder(tiny):
    return Decoder(load_vae(Path(tiny("sd15").path, "vae"), "sd15", torch.float32))


def test_the_latents_of_a_picture_are_the_encoder_s_mean_and_are_kept(tiny, job_for, pictures, decoder):
    source, mask = pictures
    job = job_for(tiny("sd15"), init_image=source, mask_image=mask, strength=0.5)
    known = Beginnings()
    with torch.inference_mode():
        found = known.of(job, decoder, torch.device("cpu"))
        again = known.of(
            job_for(tiny("sd15"), init_image=source, mask_image=mask, seed=9), decoder, torch.device("cpu")
        )
        neutral = known.of(
            job_for(tiny("sd15"), init_image=source, mask_image=mask, mask_content="neutral"),
            decoder,
            torch.device("cpu"),
        )
        with Image.open(source.path) as picture:
            pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 127.5 - 1
        wanted = decoder._vae.encode(pixels).latent_dist.mean * decoder._vae.config.scaling_factor
        hidden = pixels.clone()
        hidden[..., 16:] = 0
        grey = decoder._vae.encode(hidden).latent_dist.mean * decoder._vae.config.scaling_factor
    assert again is found
    torch.testing.assert_close(found.begun.latents, wanted)
    torch.testing.assert_close(neutral.begun.latents, grey)
    torch.testing.assert_close(found.begun.beside[:, 1:], grey)
    assert found.begun.mask.shape == (1, 1, 4, 4)
    assert found.begun.mask[0, 0, 0].tolist() == [0, 0, 1, 1]


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_every_family_takes_the_steps_asked_for_and_leaves_what_is_not_masked(tiny, runtime, job_for, pictures, family):
    source, mask = pictures
    session = DiffusionEngine(runtime).open(tiny(family))
    fields = {"init_image": source, "mask_image": mask, "strength": 0.6, "steps": 3}

    (found,) = session.render([job_for(tiny(family), **fields)], lambda _: None)

    assert found.facts["steps_taken"] == found.facts["timesteps"] == 3
    with Image.open(source.path) as picture:
        before = np.array(picture)
    assert (found.pixels[:, :16] == before[:, :16]).all()
    assert (found.pixels[:, 16:] != before[:, 16:]).any()


def test_neighbours_with_other_pictures_change_no_bit(tiny, runtime, job_for, pictures, tmp_path):
    source, _ = pictures
    Image.new("RGB", (32, 32), (9, 99, 200)).save(tmp_path / "o.png")
    other = File(digest="o", name="o.png", path=str(tmp_path / "o.png"))
    session = DiffusionEngine(runtime).open(tiny("sd15"))
    one, two = (job_for(tiny("sd15"), init_image=each, strength=0.5) for each in (source, other))
    first, _ = session.render([one, two], lambda _: None)
    again, _ = session.render([one, one], lambda _: None)
    assert (first.pixels == again.pixels).all()
