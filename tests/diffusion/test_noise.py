"""Where noise comes from, against what torch, torchsde and others' devices say."""

import numpy as np
import pytest
import torch
import torchsde
from torch import Generator

from batchgen.diffusion.noise import BrownianNoise, FreshNoise, Origin, first_noise
from batchgen.diffusion.philox import PhiloxStream, _scrambled
from batchgen.diffusion.samplers import make_stepper
from batchgen.parts import Sampling

SHAPE = (4, 8, 8)
SD = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear", "num_train_timesteps": 1000}
ALL = 0xFFFFFFFF
KNOWN = [
    ((0, 0, 0, 0), 0, (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)),
    ((ALL, ALL, ALL, ALL), ALL << 32 | ALL, (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)),
    (
        (0x243F6A88, 0x85A308D3, 0x13198A2E, 0x03707344),
        0x299F31D0 << 32 | 0xA4093822,
        (0xD16CFE09, 0x94FDCCEB, 0x5001E420, 0x24126EA1),
    ),
]
"""philox4x32-10 of Random123's kat_vectors: counter, key (its low word first), result."""

PRINTED = [
    ([8, 10], [-0.9247, -0.4253, -2.6438, 0.1452, -0.1209, -0.5797, -0.6229, -0.3284, -1.0745, -0.3631]),
    ([10], [0.1808, -0.5523, 0.9238, -0.7350, 1.3800, 0.8676, 0.1297, -0.9406, 0.8109, 0.8821]),
    ([8, 10], [2.5441, -0.7163, -0.4934, 0.1267, 0.1014, -0.4035, 0.9023, 0.8099, -0.6884, 0.1372]),
]
"""What torch printed on a CUDA device after manual_seed(0), tensor after tensor: shapes, and the first numbers."""


def batch(seed, rows, *, draws=1):
    """What one generator of ComfyUI draws for a whole batch, several times."""
    generator = Generator("cpu").manual_seed(seed)
    return [torch.randn((rows, *SHAPE), generator=generator) for _ in range(draws)]


@pytest.mark.parametrize(("counter", "key", "wanted"), KNOWN)
def test_philox_gives_the_published_words(counter, key, wanted):
    words = _scrambled(tuple(np.array([each], dtype=np.uint64) for each in counter), key)
    assert tuple(int(each[0]) for each in words) == wanted


def test_philox_draws_what_a_device_has_printed():
    stream = PhiloxStream(0)
    for shape, wanted in PRINTED:
        found = stream(shape)
        assert list(found.shape) == shape
        assert found.flatten()[:10].tolist() == pytest.approx(wanted, abs=6e-5)


def test_philox_is_standard_normal_and_its_tensors_have_nothing_in_common():
    stream = PhiloxStream(2**63 + 5)
    first, second = (stream((4, 128, 128)).flatten() for _ in range(2))
    assert first.dtype is torch.float32
    for drawn in (first, second):
        assert abs(float(drawn.mean())) < 0.015
        assert float(drawn.std()) == pytest.approx(1, abs=0.01)
        assert float((drawn.abs() < 1).float().mean()) == pytest.approx(0.6827, abs=0.006)
        assert float((drawn**4).mean()) == pytest.approx(3, abs=0.1)
    assert abs(float(torch.corrcoef(torch.stack((first, second)))[0, 1])) < 0.015


def test_both_halves_of_a_seed_count():
    seeds = [7, 7 + 2**32, 2**63 + 7]
    drawn = [PhiloxStream(seed)((16,)) for seed in seeds]
    assert not torch.equal(drawn[0], drawn[1])
    assert not torch.equal(drawn[1], drawn[2])


@pytest.mark.parametrize("row", [0, 1, 3])
def test_the_first_latent_of_a_place_is_that_row_of_one_batch(row):
    (whole,) = batch(5, 4)
    assert torch.equal(first_noise([Origin(seed=5, row=row)], SHAPE)[0], whole[row])


@pytest.mark.parametrize(("row", "rows"), [(0, 1), (3, 1), (3, 4), (0, 4), (2, 5)])
def test_noise_of_steps_is_that_row_of_each_draw_of_a_batch(row, rows):
    noise = FreshNoise([Origin(seed=5, row=row, rows=rows), 6], SHAPE)
    for whole, other in zip(batch(5, max(rows, row + 1), draws=3), batch(6, 1, draws=3), strict=True):
        drawn = noise(1.0, 0.5)
        assert torch.equal(drawn[0], whole[row])
        assert torch.equal(drawn[1], other[0])


@pytest.mark.parametrize("row", [0, 2])
def test_a_brownian_path_is_that_row_of_the_path_of_a_batch(row):
    levels = np.array([10.0, 4.0, 1.0, 0.0])
    whole = torchsde.BrownianTree(1.0, torch.zeros((4, *SHAPE)), 10.0, entropy=5)

    found = BrownianNoise([Origin(seed=5, row=row)], SHAPE, levels)(4.0, 1.0)

    torch.testing.assert_close(found[0], -whole(1.0, 4.0)[row] / 3**0.5)


def test_a_seed_alone_is_torchs_on_the_cpu():
    assert torch.equal(first_noise([9], SHAPE), first_noise([Origin(seed=9)], SHAPE))
    assert FreshNoise([9], SHAPE).generators is not None
    assert FreshNoise([9, Origin(seed=9, device="nv")], SHAPE).generators is None


def test_as_in_a1111_noise_of_steps_goes_on_behind_the_first_latent():
    origin, stream = Origin(seed=3, device="nv"), PhiloxStream(3)
    noise = FreshNoise([origin], SHAPE)
    drawn = [first_noise([origin], SHAPE)[0], noise(2.0, 1.0)[0], noise(1.0, 0.5)[0]]
    for each in drawn:
        assert torch.equal(each, stream(SHAPE))


@pytest.mark.parametrize("sampler", ["euler_ancestral", "dpm_2_ancestral"])
def test_where_no_torch_generator_draws_it_a_sampler_takes_the_same_steps(sampler):
    """Row 0 of a batch that is written otherwise: once by diffusers' class, once by the formula."""
    latents = {}
    for device in ("cpu", "row"):
        # A second picture whose noise is none of torch's makes the whole batch go by the formula.
        seeds = [Origin(seed=5), Origin(seed=6)] if device == "cpu" else [Origin(seed=5), Origin(seed=6, row=1)]
        sampling = Sampling(sampler=sampler, schedule="karras", steps=4, guidance_scale=1.0)
        stepper = make_stepper(sampling, scheduler_config=SD, seeds=seeds, shape=SHAPE)
        x = stepper.first_latent(first_noise(seeds, SHAPE))
        for _ in stepper.timesteps:
            x = stepper.step(torch.tanh(stepper.model_input(x)), x)
        latents[device] = x[0]
    torch.testing.assert_close(latents["cpu"], latents["row"], rtol=1e-3, atol=1e-3)
