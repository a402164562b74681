"""A checkpoint made for inpainting, against diffusers' pipeline for such, steered as ComfyUI steers its sampler."""

import numpy as np
import pytest
import torch
from diffusers import EulerDiscreteScheduler, StableDiffusionInpaintPipeline
from PIL import Image

from batchgen.diffusion.engine import DiffusionEngine
from batchgen.job import File

# The pipeline's own scheduler, with this version of numpy:
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

PROMPT, NEGATIVE, SEED = "a red circle on a blue background", "dog, cat", 11


@pytest.fixture(scope="module")
def model(tmp_path_factory, write_model):
    return write_model(tmp_path_factory.mktemp("inpainting"), "sd15", in_channels=9)


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    """A picture, and a mask: white where it is painted anew, whole latent pixels at a time."""
    folder = tmp_path_factory.mktemp("pictures")
    pixels = np.random.default_rng(4).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    mask = np.zeros((32, 32), dtype=np.uint8)
    mask[8:32, 8:24] = 255
    found = []
    for name, values in (("picture", pixels), ("mask", mask)):
        path = folder / f"{name}.png"
        Image.fromarray(values).save(path)
        found.append(File(digest=name, name=name, path=str(path)))
    return (*found, pixels, mask > 0)


def rendered(model, runtime, job_for, source, **fields):
    session = DiffusionEngine(runtime).open(model)
    fields = {"prompt": PROMPT, "negative_prompt": NEGATIVE, "steps": 4, "seed": SEED, **fields}
    job = job_for(model, init_image=source[0], mask_image=source[1], **fields)
    (picture,) = session.render([job], lambda _: None)
    return picture.pixels


def by_diffusers(model, pixels, mask):
    """Render with the pipeline; between steps what is outside of the mask is the picture again, noised as far."""
    pipe = StableDiffusionInpaintPipeline.from_pretrained(model.path, local_files_only=True)
    assert isinstance(pipe.scheduler, EulerDiscreteScheduler)
    pipe.set_progress_bar_config(disable=True)
    image = torch.from_numpy(pixels).permute(2, 0, 1)[None].float() / 127.5 - 1
    white = torch.from_numpy(mask)[None, None].float()
    small = white[..., ::8, ::8]

    def latents_of(values):
        with torch.inference_mode():
            return pipe.vae.encode(values).latent_dist.mode() * pipe.vae.config.scaling_factor

    noise = torch.randn((1, 4, 4, 4), generator=torch.Generator().manual_seed(SEED))
    known, hidden = latents_of(image), latents_of(image * (1 - white))
    pipe.scheduler.set_timesteps(4)
    levels = pipe.scheduler.sigmas
    begun = known + noise * torch.where(small == 1, torch.sqrt(1 + levels[0] ** 2), levels[0])

    def keep(_, step, __, found):
        return {"latents": torch.where(small == 1, found["latents"], known + levels[step + 1] * noise)}

    found = pipe(
        prompt=PROMPT, negative_prompt=NEGATIVE, guidance_scale=4.0, image=(image + 1) / 2, mask_image=white,
        masked_image_latents=hidden, latents=begun / pipe.scheduler.init_noise_sigma, height=32, width=32,
        num_inference_steps=4, strength=1.0, output_type="np", callback_on_step_end=keep,
    ).images[0]  # fmt: skip
    return (found * 255).round().astype(int)


def test_an_inpainting_checkpoint_renders_what_the_diffusers_pipeline_renders(model, runtime, job_for, source):
    wanted = by_diffusers(model, *source[2:])

    found = rendered(model, runtime, job_for, source, mask_paste=False).astype(int)

    assert np.abs(found - wanted).max() <= 1
    other = rendered(model, runtime, job_for, source, mask_paste=False, prompt="a cat").astype(int)
    assert np.abs(other - wanted).max() > 4


def test_outside_of_the_mask_the_picture_is_what_it_was_to_the_byte(model, runtime, job_for, source):
    _, _, pixels, mask = source

    found = rendered(model, runtime, job_for, source)

    assert (found[~mask] == pixels[~mask]).all()
    assert (found[mask] != pixels[mask]).any()
