"""Clips are what diffusers' own pipelines make, given the same noise and the same words."""

import numpy as np
import pytest
import torch
from diffusers import (
    CogVideoXDDIMScheduler,
    CogVideoXDPMScheduler,
    CogVideoXImageToVideoPipeline,
    CogVideoXPipeline,
    FlowMatchEulerDiscreteScheduler,
    LTXPipeline,
    WanPipeline,
)
from PIL import Image

from batchgen.diffusion.engine import DiffusionEngine
from batchgen.job import File

PROMPT, NEGATIVE = "a red circle on a blue background", "dog, cat"
SCHEDULERS = {"cogvideox_ddim": CogVideoXDDIMScheduler, "cogvideox_dpm": CogVideoXDPMScheduler}

# Of CogVideoX 5B, which counts places in rotations, and of 1.5, whose patches have two frames.
KINDS = {
    "2b": {},
    "5b": {"use_rotary_positional_embeddings": True},
    "1.5": {"use_rotary_positional_embeddings": True, "patch_size_t": 2, "patch_bias": False},
}


@pytest.fixture
def ours(runtime, job_for):
    def render(model, **fields):
        fields = {"frames": 9, "width": 48, "height": 32, "schedule": "simple", "steps": 4} | fields
        session = DiffusionEngine(runtime).open(model)
        (rendered,) = session.render([job_for(model, **fields)], lambda _: None)
        return rendered.pixels.astype(int)

    return render


def theirs(pipe, sampler, seed, *, shape=(3, 4, 4, 6), steps=4, frames=9, **arguments):
    """What the pipeline makes of noise as batchgen draws it: the first latent and steps each from a generator."""
    pipe.scheduler = SCHEDULERS[sampler].from_config(pipe.scheduler.config, timestep_spacing="trailing")
    pipe.set_progress_bar_config(disable=True)
    latents = torch.randn((1, *shape), generator=torch.Generator().manual_seed(seed))
    found = pipe(
        height=32,
        width=48,
        num_frames=frames,
        num_inference_steps=steps,
        latents=latents,
        generator=[torch.Generator().manual_seed(seed)],
        max_sequence_length=16,
        output_type="np",
        **arguments,
    )
    return (found.frames[0] * 255).round().astype(int)


@pytest.mark.parametrize("dynamic", [False, True], ids=["", "dynamic"])
@pytest.mark.parametrize("sampler", SCHEDULERS)
@pytest.mark.parametrize("kind", KINDS)
def test_cogvideox_renders_what_the_diffusers_pipeline_renders(tmp_path, write_model, ours, kind, sampler, dynamic):
    model = write_model(tmp_path, "cogvideox", **KINDS[kind])
    pipe = CogVideoXPipeline.from_pretrained(model.path, local_files_only=True)
    shape = (4, 4, 4, 6) if kind == "1.5" else (3, 4, 4, 6)
    words = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "guidance_scale": 6.0}

    wanted = theirs(pipe, sampler, 11, shape=shape, use_dynamic_cfg=dynamic, **words)
    found = ours(model, sampler=sampler, seed=11, dynamic_guidance=dynamic, **words)

    assert found.shape == (9, 32, 48, 3)
    assert np.abs(found - wanted).max() <= 1
    assert np.abs(ours(model, sampler=sampler, seed=11, prompt="a cat") - wanted).max() > 4


@pytest.mark.parametrize("kind", [*KINDS, "1.5 trained to animate"])
def test_cogvideox_animates_a_picture_as_the_diffusers_pipeline_does(tmp_path, write_model, ours, picture, kind):
    config = KINDS.get(kind, {**KINDS["1.5"], "ofs_embed_dim": 8})
    model = write_model(tmp_path / "model", "cogvideox_i2v", **config)
    pipe = CogVideoXImageToVideoPipeline.from_pretrained(model.path, local_files_only=True)
    shape = (4, 4, 4, 6) if "1.5" in kind else (3, 4, 4, 6)
    words = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "guidance_scale": 6.0}

    first, other = picture("first", (200, 40, 90)), picture("other", (10, 220, 30))
    wanted = theirs(pipe, "cogvideox_ddim", 12, shape=shape, image=Image.open(first.path), **words)
    found = ours(model, sampler="cogvideox_ddim", seed=12, init_image=first, **words)

    assert np.abs(found - wanted).max() <= 1
    assert np.abs(ours(model, sampler="cogvideox_ddim", seed=12, init_image=other, **words) - wanted).max() > 4


@pytest.fixture
def picture(tmp_path):
    def of(name, colour):
        pixels = np.full((32, 48, 3), colour, dtype=np.uint8)
        pixels[8:20, 10:30] = 255 - pixels[8:20, 10:30]
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
        return File(digest=f"{sum(colour):064d}", name=name, path=str(tmp_path / f"{name}.png"))

    return of


@pytest.mark.parametrize("shift", [None, 5.0])
def test_wan_renders_what_the_diffusers_pipeline_renders(tiny, ours, shift):
    """With the other scheduler of its documentation; the levels of its usual one end in places of their own."""
    pipe = WanPipeline.from_pretrained(tiny("wan").path, local_files_only=True)
    pipe.scheduler = FlowMatchEulerDiscreteScheduler(shift=shift or 3.0)
    words = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "guidance_scale": 5.0}
    latents = torch.randn((1, 4, 3, 4, 6), generator=torch.Generator().manual_seed(13))

    pipe.set_progress_bar_config(disable=True)
    wanted = pipe(height=32, width=48, num_frames=9, num_inference_steps=4, latents=latents, **words).frames[0]
    asked = {"sampler": "euler", "schedule": "normal", "seed": 13, "shift": shift}
    found = ours(tiny("wan"), **asked, **words)

    assert found.shape == (9, 32, 48, 3)
    assert np.abs(found - (wanted * 255).round()).max() <= 1
    assert np.abs(ours(tiny("wan"), **asked, prompt="a cat") - (wanted * 255).round()).max() > 4


def test_wan_2_2_5b_renders_what_the_diffusers_pipeline_renders(tmp_path, write_model, ours):
    """Its pipeline tells each token the time apart; without a first frame to keep it is the same for all."""
    config = {"is_residual": True, "patch_size": 2, "in_channels": 12, "out_channels": 12, "scale_factor_spatial": 16}
    model = write_model(tmp_path, "wan", **config)
    pipe = WanPipeline.from_pretrained(model.path, local_files_only=True)
    pipe.register_to_config(expand_timesteps=True)
    pipe.scheduler = FlowMatchEulerDiscreteScheduler(shift=3.0)
    pipe.set_progress_bar_config(disable=True)
    words = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "guidance_scale": 5.0}
    latents = torch.randn((1, 4, 3, 4, 4), generator=torch.Generator().manual_seed(15))

    wanted = pipe(height=64, width=64, num_frames=9, num_inference_steps=3, latents=latents, **words).frames[0]
    found = ours(model, sampler="euler", schedule="normal", seed=15, width=64, height=64, steps=3, **words)

    assert found.shape == (9, 64, 64, 3)
    assert np.abs(found - (wanted * 255).round()).max() <= 1


def test_ltx_renders_what_the_diffusers_pipeline_renders(tiny, ours):
    pipe = LTXPipeline.from_pretrained(tiny("ltx").path, local_files_only=True)
    words = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "guidance_scale": 3.0}
    latents = torch.randn((1, 8, 2, 2, 3), generator=torch.Generator().manual_seed(14))
    packed = pipe._pack_latents(latents)

    pipe.set_progress_bar_config(disable=True)
    size = {"height": 64, "width": 96}
    wanted = pipe(
        num_frames=9, num_inference_steps=4, frame_rate=24, latents=packed, output_type="np", **size, **words
    ).frames[0]
    asked = {"sampler": "euler", "schedule": "simple", "seed": 14, "fps": 24.0, **size}
    found = ours(tiny("ltx"), **asked, **words)

    assert found.shape == (9, 64, 96, 3)
    assert np.abs(found - (wanted * 255).round()).max() <= 1
    assert np.abs(ours(tiny("ltx"), **asked, prompt="a cat") - (wanted * 255).round()).max() > 4
    assert np.abs(ours(tiny("ltx"), **asked | {"fps": 8.0}, **words) - found).max() > 1
