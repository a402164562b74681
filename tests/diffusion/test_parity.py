"""The loop renders what diffusers' own pipelines render, given the same noise: they are the independent answer."""

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, FluxPipeline, StableDiffusionPipeline, StableDiffusionXLPipeline

from batchgen.diffusion.engine import DiffusionEngine
from batchgen.diffusion.flux import pack

# The pipelines' own scheduler, with this version of numpy:
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PROMPT, NEGATIVE = "a red circle on a blue background", "dog, cat"


@pytest.fixture
def ours(runtime, job_for):
    def render(model, **fields):
        session = DiffusionEngine(runtime).open(model)
        (rendered,) = session.render([job_for(model, steps=4, **fields)], lambda _: None)
        return rendered.pixels.astype(int)

    return render


def noise(seed, channels=4):
    return torch.randn((1, channels, 4, 4), generator=torch.Generator().manual_seed(seed))


def theirs(pipe, **arguments):
    pipe.set_progress_bar_config(disable=True)
    image = pipe(height=32, width=32, num_inference_steps=4, output_type="np", **arguments).images[0]
    return (image * 255).round().astype(int)


def scaled(pipe, seed):
    """Noise such that the pipeline begins with noise * sqrt(1 + sigma**2), as ComfyUI does."""
    pipe.scheduler.set_timesteps(4)
    sigma = pipe.scheduler.sigmas[0]
    return noise(seed) * torch.sqrt(1 + sigma**2) / pipe.scheduler.init_noise_sigma


@pytest.mark.parametrize("scale", [1.0, 5.0])
def test_sd15_renders_what_the_diffusers_pipeline_renders(tiny, ours, scale):
    pipe = StableDiffusionPipeline.from_pretrained(tiny("sd15").path, local_files_only=True)
    assert isinstance(pipe.scheduler, EulerDiscreteScheduler)

    wanted = theirs(pipe, prompt=PROMPT, negative_prompt=NEGATIVE, guidance_scale=scale, latents=scaled(pipe, 11))
    found = ours(tiny("sd15"), prompt=PROMPT, negative_prompt=NEGATIVE, guidance_scale=scale, seed=11)

    assert np.abs(found - wanted).max() <= 1
    assert np.abs(ours(tiny("sd15"), prompt="a cat", guidance_scale=scale, seed=11) - wanted).max() > 4


def test_sdxl_renders_what_the_diffusers_pipeline_renders(tiny, ours):
    pipe = StableDiffusionXLPipeline.from_pretrained(tiny("sdxl").path, local_files_only=True)

    wanted = theirs(pipe, prompt=PROMPT, negative_prompt=NEGATIVE, guidance_scale=5.0, latents=scaled(pipe, 12))
    found = ours(tiny("sdxl"), prompt=PROMPT, negative_prompt=NEGATIVE, guidance_scale=5.0, seed=12)

    assert np.abs(found - wanted).max() <= 1
    assert np.abs(ours(tiny("sdxl"), prompt="a cat", guidance_scale=5.0, seed=12) - wanted).max() > 4


@pytest.mark.parametrize("guided", [True, False], ids=["dev", "schnell"])
def test_flux_renders_what_the_diffusers_pipeline_renders(tmp_path, write_model, ours, guided):
    model = write_model(tmp_path, "flux", guidance=guided)
    pipe = FluxPipeline.from_pretrained(model.path, local_files_only=True)

    told = {"guidance_scale": 2.5} if guided else {}
    length = 512 if guided else 256
    wanted = theirs(pipe, prompt=PROMPT, latents=pack(noise(13)), max_sequence_length=length, **told)
    distilled = {"distilled_guidance": 2.5} if guided else {}
    found = ours(model, prompt=PROMPT, guidance_scale=1.0, seed=13, **distilled)

    assert np.abs(found - wanted).max() <= 1
    assert np.abs(ours(model, prompt="a cat", guidance_scale=1.0, seed=13) - wanted).max() > 1


def test_flux_with_true_guidance_renders_what_the_diffusers_pipeline_renders(tiny, ours):
    pipe = FluxPipeline.from_pretrained(tiny("flux").path, local_files_only=True)

    arguments = {"negative_prompt": NEGATIVE, "true_cfg_scale": 4.0, "guidance_scale": 3.5}
    wanted = theirs(pipe, prompt=PROMPT, latents=pack(noise(14)), **arguments)
    found = ours(tiny("flux"), prompt=PROMPT, negative_prompt=NEGATIVE, guidance_scale=4.0, seed=14)

    assert np.abs(found - wanted).max() <= 1
