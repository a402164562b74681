import pytest

from batchgen.interop.a1111 import write
from batchgen.interop.a1111_reading import read_parameters
from batchgen.interop.imported import Needed, Unreadable
from batchgen.job import Model, make_job

PARAMS = "Steps: 20, Sampler: Euler a, CFG scale: 7, Seed: 1, Size: 512x768"


def read(more="", *, prompt="a cat", params=PARAMS):
    return read_parameters(f"{prompt}\nNegative prompt: dog\n{params}{', ' if more else ''}{more}", "p.png")


def reasons(imported):
    return [str(each) for each in imported.refused]


def test_a_plain_text_says_every_field():
    found = read("Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Version: v1.9.4")

    assert found.recipe == {
        "prompt": "a cat",
        "negative_prompt": "dog",
        "emphasis": "a1111",
        "clip_skip": 1,
        "seed": 1,
        "steps": 20,
        "sampler": "euler_ancestral",
        "schedule": "normal",
        "guidance_scale": 7.0,
        "width": 512,
        "height": 768,
        "noise": "nv",
        "noise_scale": "sigma",
        "rounding": "truncate",
    }
    assert found.checkpoint == Needed(kind="checkpoint", name="v1-5-pruned-emaonly", hash="6ce0161689")
    assert (found.warnings, found.refused) == ((), ())


@pytest.mark.parametrize(
    ("items", "sampler", "schedule"),
    [
        ("Sampler: DPM++ 2M Karras", "dpmpp_2m", "karras"),
        ("Sampler: DPM++ 2M SDE Exponential", "dpmpp_2m_sde", "exponential"),
        ("Sampler: DPM++ 2M, Schedule type: Karras", "dpmpp_2m", "karras"),
        ("Sampler: DPM++ 2M, Schedule type: Automatic", "dpmpp_2m", "karras"),
        ("Sampler: DPM++ 2M SDE, Schedule type: Automatic", "dpmpp_2m_sde", "exponential"),
        ("Sampler: DPM++ 3M SDE, Schedule type: Automatic", "dpmpp_3m_sde", "exponential"),
        ("Sampler: Euler, Schedule type: Automatic", "euler", "normal"),
        ("Sampler: DDIM, Schedule type: Automatic", "ddim", "ddim_uniform"),
        ("Sampler: Euler, Schedule type: SGM Uniform", "euler", "sgm_uniform"),
        ("Sampler: Euler, Schedule type: Uniform", "euler", "normal"),
        ("Sampler: DPM2 a Karras", "dpm_2_ancestral", "karras"),
        ("Sampler: UniPC", "uni_pc", "normal"),
        ("Sampler: Undefined", "euler", "simple"),
        ("Sampler: DPM++ 2M, Version: v1.6.0", "dpmpp_2m", "normal"),
        ("Sampler: DPM++ 2M, Version: v1.10.1", "dpmpp_2m", "karras"),
    ],
)
def test_samplers_and_schedules_of_every_version_are_understood(items, sampler, schedule):
    found = read(params=f"Steps: 20, {items}, CFG scale: 7, Seed: 1, Size: 512x768")

    assert (found.recipe["sampler"], found.recipe["schedule"]) == (sampler, schedule)
    assert not found.refused


def test_a_schedule_that_nobody_says_is_warned_of():
    found = read(params="Steps: 20, Sampler: DPM++ 2M, CFG scale: 7, Seed: 1, Size: 512x768")

    assert any("the schedule is not said" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    ("item", "noise"), [("", "nv"), ("RNG: CPU", "cpu_continued"), ("RNG: NV", "nv"), ("RNG: GPU", "nv")]
)
def test_noise_is_of_the_gpu_unless_the_text_says_otherwise(item, noise):
    assert read(item).recipe["noise"] == noise


@pytest.mark.parametrize(
    ("params", "more", "scale"),
    [
        (PARAMS, "", "sigma"),
        (PARAMS, "SGM noise multiplier: True", "full"),
        (PARAMS.replace("Euler a", "DDIM"), "", "full"),
        (PARAMS.replace("Euler a", "UniPC"), "", "full"),
    ],
)
def test_noise_alone_is_scaled_by_sigma_unless_the_text_says_otherwise(params, more, scale):
    assert read(more, params=params).recipe["noise_scale"] == scale


def test_noise_of_the_cpu_goes_on_only_in_samplers_that_draw_some():
    params = PARAMS.replace("Euler a", "Euler")

    assert read("RNG: CPU", params=params).recipe["noise"] == "cpu"


def test_noise_of_a_card_between_levels_is_warned_of():
    params = PARAMS.replace("Euler a", "DPM++ 2M SDE Karras")

    assert any("graphics card" in warning for warning in read(params=params).warnings)
    assert not any("graphics card" in warning for warning in read("RNG: CPU", params=params).warnings)


def test_hires_says_the_second_pass():
    found = read("Denoising strength: 0.4, Hires upscale: 1.5, Hires steps: 12, Hires upscaler: 4x-UltraSharp")

    assert found.recipe["hires"] == {"scale": 1.5, "upscaler": "4x-UltraSharp", "strength": 0.4, "steps": 12}
    assert Needed(kind="upscaler", name="4x-UltraSharp") in found.files


def test_hires_by_size_is_a_scale_where_proportions_stay():
    found = read("Denoising strength: 0.4, Hires resize: 1024x1536, Hires upscaler: Lanczos")

    assert found.recipe["hires"] == {"scale": 2.0, "upscaler": "lanczos", "strength": 0.4}
    assert reasons(read("Denoising strength: 0.4, Hires resize: 1024x1024, Hires upscaler: Lanczos"))


def test_a_latent_upscaler_is_warned_of():
    found = read("Denoising strength: 0.7, Hires upscale: 2, Hires upscaler: Latent")

    assert found.recipe["hires"]["upscaler"] == "bilinear"
    assert any("enlarges latents" in warning for warning in found.warnings)


def test_clip_skip_vae_and_distilled_guidance_are_fields():
    found = read("Clip skip: 2, VAE: vae-ft-mse.safetensors, VAE hash: 735e4c3a44, Distilled CFG Scale: 3.5")

    assert (found.recipe["clip_skip"], found.recipe["distilled_guidance"]) == (2, 3.5)
    assert found.recipe["vae"] == "vae-ft-mse.safetensors"
    assert Needed(kind="vae", name="vae-ft-mse.safetensors", hash="735e4c3a44") in found.files
    assert not found.refused


def test_loras_stay_in_the_prompt_and_bring_their_hashes():
    found = read('Lora hashes: "grain: 0123456789ab, ink: ffff"', prompt="a cat <lora:grain:0.8> <lora:ink:1>")

    assert found.recipe["prompt"] == "a cat <lora:grain:0.8> <lora:ink:1>"
    assert found.files == (
        Needed(kind="lora", name="grain", hash="0123456789ab"),
        Needed(kind="lora", name="ink", hash="ffff"),
    )


def test_hashes_of_civitai_are_taken_where_no_other_is():
    found = read('Model: x, Hashes: {"model": "0123456789", "lora:grain": "ab"}', prompt="<lora:grain:1>")

    assert found.checkpoint == Needed(kind="checkpoint", name="x", hash="0123456789")
    assert found.files == (Needed(kind="lora", name="grain", hash="ab"),)


def test_forges_hash_of_a_file_name_is_not_trusted():
    found = read("Model: x, Model hash: 0123456789, Version: f2.0.1v1.10.1")

    assert found.checkpoint == Needed(kind="checkpoint", name="x")
    assert any("Forge" in warning for warning in found.warnings)


@pytest.mark.parametrize(
    "item",
    [
        "Variation seed: 7, Variation seed strength: 0.3",
        "ENSD: 31337",
        "Seed resize from: 256x256",
        "Face restoration: CodeFormer",
        "Tiling: True",
        "Tiling",
        "Refiner: xl_refiner, Refiner switch at: 0.8",
        "Token merging ratio: 0.5",
        "NGMS: 1.5",
        "Eta: 0.5",
        "Schedule rho: 5",
        "Emphasis: No norm",
        "Hires upscale: 2, Denoising strength: 0.5, Hires sampler: Euler",
        'ControlNet 0: "Module: canny, Model: x"',
        "ADetailer model: face_yolov8n.pt",
        "Script: X/Y/Z plot",
        "RNG: TPU",
    ],
)
def test_what_changes_pixels_and_is_not_done_here_is_refused_by_its_key(item):
    key = item.split(":")[0].split(",")[0]
    found = read(item)

    assert any(each.what == key or each.what in item for each in found.refused)


@pytest.mark.parametrize(
    "item",
    [
        "Token merging ratio: 0.0",
        "Schedule rho: 7.0",
        "Variation seed: 7, Variation seed strength: 0",
        "FP8 weight: Disable",
        "VAE Decoder: Full",
        'Civitai resources: [{"modelVersionId": 1}]',
        "User: me",
        'TI hashes: "neg: 0123456789ab"',
    ],
)
def test_what_changes_nothing_is_no_matter(item):
    assert not read(item).refused


def test_the_delta_of_ancestral_noise_is_nothing_to_a_sampler_without_noise():
    params = "Steps: 20, Sampler: Euler, CFG scale: 7, Seed: 1, Size: 512x768, ENSD: 31337"

    assert not read(params=params).refused


def test_image_to_image_is_refused_because_its_picture_is_not_named():
    assert reasons(read("Denoising strength: 0.75")) == [
        "Denoising strength: begins with a picture that the text does not name"
    ]


@pytest.mark.parametrize(
    ("prompt", "what"),
    [
        ("a cat AND a dog", "AND"),
        ("a [cat:dog:0.5]", "prompt editing"),
        ("a [cat::5] there", "prompt editing"),
        ("a [dog: 0.5 ]", "prompt editing"),
        ("a [cat|dog]", "alternation"),
        ("a ([cat|(dog:1.2)]:1.1)", "alternation"),
        ("a cat <hypernet:x:1>", "hypernet"),
        ("<lora:x:1:1:8>", "dyn"),
    ],
)
def test_prompt_syntax_beyond_emphasis_is_refused_by_name(prompt, what):
    assert [each.what for each in read(prompt=prompt).refused] == [what]


@pytest.mark.parametrize(
    "prompt",
    [
        "[faint] (strong) (more:1.3)",
        "a BREAK b",
        "\\[a|b\\] \\(x:0.5\\)",
        "SAND and ANDROID",
        "<lora:x:1>",
        "[(x:1.2)]",
    ],
)
def test_prompt_syntax_that_is_honoured_is_kept(prompt):
    found = read(prompt=prompt)

    assert found.recipe["prompt"] == prompt
    assert not found.refused


def test_a_text_without_parameters_is_refused():
    with pytest.raises(Unreadable, match="has no line of parameters"):
        read_parameters("a cat", "p.png")


def test_what_batchgen_writes_comes_back():
    model = Model(digest="0" * 64, family="sd15", name="v1-5", path="/x.safetensors")
    fields = {
        "prompt": "a (heron:1.2) AND [a|b]",
        "negative_prompt": "blurry",
        "emphasis": "a1111",
        "clip_skip": 2,
        "seed": 7,
        "steps": 20,
        "sampler": "dpmpp_2m_sde",
        "schedule": "beta",
        "guidance_scale": 7.5,
        "width": 512,
        "height": 768,
    }

    found = read_parameters(write(make_job(model, fields), version="0.1.0"), "p.png")

    neutral = {"noise": "cpu", "noise_scale": "full", "rounding": "round", "precision": "auto", "vae_tiling": "off"}
    assert found.recipe == fields | neutral
    assert found.checkpoint == Needed(kind="checkpoint", name="v1-5")
    assert not found.refused
