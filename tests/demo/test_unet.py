import pytest
import torch
from diffusers import EulerDiscreteScheduler

from batchgen.demo.drawings import held_out, stream
from batchgen.demo.export import scheduler
from batchgen.demo.fitting import generator_of
from batchgen.demo.unet import NOISE_LEVELS, Lessons, noise_levels, signal_shares


def test_training_and_sampling_share_one_noise_schedule():
    sampler: EulerDiscreteScheduler = scheduler()

    assert torch.allclose(signal_shares(), sampler.alphas_cumprod, rtol=1e-3)


def test_noise_levels_cover_the_whole_schedule():
    levels = noise_levels(20_000, generator_of(0, 0))

    assert levels.min() < 10
    assert levels.max() >= NOISE_LEVELS - 10
    assert levels.float().mean() == pytest.approx(520, abs=20)


def test_a_step_always_gets_the_same_lesson():
    scenes = [scene for scene, _ in zip(stream("lessons"), range(50), strict=False)]
    lessons = Lessons(latents=torch.arange(50.0)[:, None, None, None].expand(-1, 4, 16, 16), scenes=scenes)

    first, again, other = (lessons.batch(step, 8, seed=0) for step in (3, 3, 4))

    assert first[1] == again[1] != other[1]
    assert torch.equal(first[0], again[0])


def test_about_one_caption_in_ten_is_empty():
    scenes = [scene for scene, _ in zip(stream("empty"), range(64), strict=False)]
    lessons = Lessons(latents=torch.zeros(64, 4, 16, 16), scenes=scenes)

    texts = [text for step in range(40) for text in lessons.batch(step, 32, seed=0)[1]]

    assert 0.06 < texts.count("") / len(texts) < 0.14


def test_lessons_hold_no_held_out_combination():
    scenes = [scene for scene, _ in zip(stream("unet", "seen"), range(2000), strict=False)]

    assert not any(held_out(f.colour, f.shape, scene.background) for scene in scenes for f in scene.figures)
