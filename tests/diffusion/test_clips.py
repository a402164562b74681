"""Clips through a session: what holds for pictures holds for them."""

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX

from batchgen.diffusion import cogvideox
from batchgen.diffusion.engine import DiffusionEngine
from batchgen.diffusion.loading import scheduler_config
from batchgen.diffusion.noise import first_noise
from batchgen.diffusion.samplers import make_stepper
from batchgen.engine import Runtime
from batchgen.errors import EngineError, ModelError, NotFinite
from batchgen.job import File
from batchgen.parts import Numerics, Sampling

FAMILIES = ("cogvideox", "cogvideox_i2v", "wan", "ltx")
ASKED = {
    "cogvideox": {"sampler": "cogvideox_dpm"},
    "cogvideox_i2v": {"sampler": "cogvideox_ddim"},
    "wan": {"sampler": "uni_pc", "steps": 4},
    "ltx": {"width": 64, "height": 64},
}


@pytest.fixture(scope="session")
def picture(tmp_path_factory):
    from PIL import Image

    path = tmp_path_factory.mktemp("pictures") / "first.png"
    Image.effect_mandelbrot((48, 32), (-2, -1, 1, 1), 9).convert("RGB").save(path)
    return File(digest="7" * 64, name="first", path=str(path))


@pytest.fixture
def clip_for(tiny, job_for, picture):
    def of(family, **fields):
        begins = {"init_image": picture} if family == "cogvideox_i2v" else {}
        return job_for(tiny(family), **{"frames": 9, "width": 48, "steps": 3} | ASKED[family] | begins | fields)

    return of


@pytest.fixture
def session(tiny):
    def of(family, **runtime):
        return DiffusionEngine(Runtime(device="cpu", threads=1, **runtime)).open(tiny(family))

    return of


def quiet(step):
    pass


def rendered(session, *jobs):
    return session.render(jobs, quiet)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_clip_is_as_many_frames_as_asked_for_and_equal_when_rendered_again(session, clip_for, family):
    job, steps = clip_for(family), []
    one, again = session(family).render([job], steps.append)[0], rendered(session(family), job)[0]

    assert one.pixels.shape == (9, job.canvas.height, job.canvas.width, 3)
    assert one.pixels.dtype == np.uint8
    assert np.array_equal(one.pixels, again.pixels)
    assert not np.array_equal(one.pixels, rendered(session(family), clip_for(family, seed=8))[0].pixels)
    assert steps == list(range(1, len(one.facts["sigmas"])))
    assert one.facts["dtype"] == "fp32"
    assert one.facts["guided"]


@pytest.mark.parametrize("family", FAMILIES)
def test_where_the_parts_are_kept_changes_no_bit_and_is_in_the_facts(session, clip_for, family):
    here = rendered(session(family), clip_for(family))[0]
    assert here.facts["memory"] == "full"
    for memory in ("encode_first", "offload", "sequential"):
        there = rendered(session(family, memory=memory), clip_for(family))[0]
        assert np.array_equal(there.pixels, here.pixels)
        assert there.facts["memory"] == memory


@pytest.mark.parametrize("family", ["cogvideox", "wan", "ltx"])
def test_one_frame_is_a_picture(session, clip_for, family):
    job = clip_for(family, frames=1)
    assert rendered(session(family), job)[0].pixels.shape == (job.canvas.height, job.canvas.width, 3)


@pytest.mark.parametrize("family", FAMILIES)
def test_a_clip_beside_others_is_what_it_is_alone(session, clip_for, family):
    here, batch = session(family), [clip_for(family, seed=seed, prompt="a cat" * (seed % 2)) for seed in (3, 4)]
    together = rendered(here, *batch)
    for job, clip in zip(batch, together, strict=True):
        alone = rendered(here, job)[0].pixels.astype(int)
        assert np.abs(alone - clip.pixels).max() <= 1


@pytest.mark.parametrize("family", FAMILIES)
def test_a_rehearsal_needs_no_picture_and_keeps_nothing(session, clip_for, family):
    here, steps = session(family), []
    here.rehearse([clip_for(family)], steps.append)
    assert steps == [1]


@pytest.mark.parametrize("family", ["cogvideox", "wan", "ltx"])
def test_a_prompt_that_is_too_long_is_refused_and_not_cut(session, clip_for, family):
    most = {"cogvideox": 15, "wan": 511, "ltx": 127}[family]
    here = session(family)
    rendered(here, clip_for(family, prompt="cat " * most, steps=2))
    with pytest.raises(EngineError, match=rf"has {most + 1} tokens, and this model takes {most}: 'cat cat .*' \.\.\.$"):
        rendered(here, clip_for(family, prompt="cat " * (most + 1), steps=2))


@pytest.mark.parametrize("family", ["cogvideox", "wan", "ltx"])
def test_tiles_are_used_where_they_are_asked_for_and_a_clip_is_larger(session, clip_for, family):
    here = session(family)
    larger = {"width": 96, "height": 64}
    whole = rendered(here, clip_for(family, **larger))[0]
    if family != "cogvideox":  # whose configuration says it
        vae = here._denoiser.decoder._vae
        vae.tile_sample_min_height = vae.tile_sample_min_width = 32
        vae.tile_sample_stride_height = vae.tile_sample_stride_width = 32
    tiled = rendered(here, clip_for(family, **larger, vae_tiling="on"))[0]

    assert "vae_tiled" not in whole.facts
    assert tiled.facts["vae_tiled"]
    assert tiled.pixels.shape == whole.pixels.shape
    assert not np.array_equal(tiled.pixels, whole.pixels)
    assert "vae_tiled" not in rendered(here, clip_for(family, **larger))[0].facts


@pytest.mark.parametrize("sides", [(480, 720), (768, 1360), (48, 48), (100, 36)])
def test_tiles_of_cogvideox_s_autoencoder_are_laid_together_to_the_size_of_the_whole(write_model, tmp_path, sides):
    """Those of demo_motion's, 48x48, would make a clip of 56x48 of one of 48x48 by diffusers' rounding."""
    model = write_model(tmp_path, "cogvideox", tiles=sides)
    vae = AutoencoderKLCogVideoX.from_pretrained(f"{model.path}/vae", local_files_only=True)
    decoder = cogvideox._Decoder(vae, None)
    for side, factor in (("height", 1 / 6), ("width", 1 / 5)):
        latent, pixels = getattr(vae, f"tile_latent_min_{side}"), getattr(vae, f"tile_sample_min_{side}")
        found = getattr(vae, f"tile_overlap_factor_{side}")
        assert int(latent * (1 - found)) * 8 == pixels - int(pixels * found)
        assert found == pytest.approx(factor, abs=0.5 / latent)
    latents = torch.zeros(1, 1, 4, 2 * decoder._tile()[0] + 1, 3)
    ((pixels, said),) = decoder.decode(latents, Numerics(vae_tiling="on"))
    assert said["vae_tiled"]
    assert pixels.shape == (8 * latents.shape[3], 24, 3)


def test_a_clip_that_overflows_in_decoding_is_decoded_in_fp32(session, clip_for):
    here = session("cogvideox")
    job = clip_for("cogvideox", precision="bf16")
    rendered(here, job)
    vae = here._denoiser.decoder._vae

    def overflow(_module, _given, output):
        return (output[0] * float("inf"), output[1]) if output[0].dtype is torch.bfloat16 else output

    vae.decoder.register_forward_hook(overflow)
    clip = rendered(here, job)[0]
    assert clip.facts["decode_fp32_retry"]
    assert vae.dtype is torch.bfloat16
    vae.decoder.register_forward_hook(lambda _module, _given, output: (output[0] * float("nan"), output[1]))
    with pytest.raises(NotFinite):
        rendered(here, job)


def test_wan_decodes_in_fp32_whatever_the_rest_is_in(session, clip_for):
    facts = rendered(session("wan"), clip_for("wan", precision="bf16"))[0].facts
    assert (facts["dtype"], facts["vae_dtype"]) == ("bf16", "fp32")


@pytest.mark.parametrize("noise", [{"noise": "nv"}, {"noise": "cpu_continued"}, {"noise_index": 2}])
def test_noise_of_every_source_is_drawn_for_clips(session, clip_for, noise):
    here = session("cogvideox")
    usual = rendered(here, clip_for("cogvideox"))[0].pixels
    assert np.abs(rendered(here, clip_for("cogvideox", **noise))[0].pixels.astype(int) - usual).max() > 4


def test_a_model_that_animates_is_no_model_of_words_alone(write_model, tmp_path, runtime, tiny):
    model = write_model(tmp_path, "cogvideox", animates=False)
    config = tmp_path / "model_index.json"
    config.write_text(config.read_text().replace("CogVideoXPipeline", "CogVideoXImageToVideoPipeline"))
    animating = type(model)(digest="1" * 64, family="cogvideox_i2v", name="none", path=str(tmp_path))
    with pytest.raises(ModelError, match="its denoiser takes 4 channels, and 8 are needed"):
        DiffusionEngine(runtime).open(animating)
    with pytest.raises(ModelError, match="holds a CogVideoXPipeline, but family wan needs a WanPipeline"):
        DiffusionEngine(runtime).open(type(model)(digest="1" * 64, family="wan", name="x", path=tiny("cogvideox").path))


def test_an_ltx_video_whose_autoencoder_is_told_a_timestep_is_refused(write_model, tmp_path, runtime):
    model = write_model(tmp_path, "ltx", timestep_conditioning=True)
    with pytest.raises(ModelError, match=r"LTX-Video 0\.9\.1 and later"):
        DiffusionEngine(runtime).open(model)


@pytest.mark.parametrize("sampler", ["cogvideox_ddim", "cogvideox_dpm"])
@pytest.mark.parametrize("steps", [1, 2, 7, 30, 61, 1000])
def test_cogvideox_takes_as_many_steps_as_asked_for_from_noise_alone(tiny, sampler, steps):
    """diffusers' classes count one step too many where a thousand divided by 61 is summed up."""
    sampling = Sampling(sampler=sampler, schedule="simple", steps=steps, guidance_scale=1.0)
    config = scheduler_config(tiny("cogvideox"))
    stepper = make_stepper(sampling, scheduler_config=config, seeds=[1], shape=(2, 3))
    latents = stepper.first_latent(first_noise([1], (2, 3)))
    assert len(stepper.timesteps) == steps
    assert stepper.timesteps[0] == 999
    for _ in stepper.timesteps:
        latents = stepper.step(0.3 * stepper.model_input(latents), latents)
    assert latents.isfinite().all()
    assert stepper.steps_taken == steps


@pytest.mark.parametrize("sampler", ["cogvideox_ddim", "cogvideox_dpm"])
def test_a_run_goes_on_from_its_state_as_if_it_had_never_stopped(tiny, sampler):
    sampling = Sampling(sampler=sampler, schedule="simple", steps=6, guidance_scale=1.0)

    def fresh():
        config = scheduler_config(tiny("cogvideox"))
        return make_stepper(sampling, scheduler_config=config, seeds=[1, 2], shape=(2, 3))

    def advance(stepper, latents, count):
        for _ in range(count):
            latents = stepper.step(torch.tanh(stepper.model_input(latents)), latents)
        return latents

    start = fresh().first_latent(first_noise([1, 2], (2, 3)))
    for taken in range(1, 6):
        interrupted, resumed = fresh(), fresh()
        half = advance(interrupted, start, taken)
        resumed.restore(interrupted.state())
        assert torch.equal(advance(resumed, half, 6 - taken), advance(fresh(), start, 6))
