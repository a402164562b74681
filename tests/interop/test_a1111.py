import dataclasses
import re
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from batchgen.interop.a1111 import SAMPLER_LABELS, write
from batchgen.interop.a1111_reading import read_parameters
from batchgen.interop.a1111_text import split
from batchgen.job import UPSCALER, File, Job, Lora, Model, Stage, make_job
from batchgen.parts import PARTS, UNSAMPLED, Canvas, Start, Text
from batchgen.sampling.names import SAMPLERS, SCHEDULES

MODEL = Model(digest="0" * 64, family="sd15", name="v1-5-pruned", path="/models/x.safetensors")
VALUES = {
    "prompt": "a heron at dawn, (mist:1.2)",
    "negative_prompt": "blurry, text",
    "seed": 7,
    "width": 512,
    "height": 768,
    "sampler": "euler_ancestral",
    "schedule": "karras",
    "steps": 20,
    "guidance_scale": 7.5,
}


def job(model=MODEL, **changes):
    return make_job(model, VALUES | changes)


def test_a_job_is_said_as_a1111_says_it():
    assert write(job(clip_skip=2), version="0.1.0") == (
        "a heron at dawn, (mist:1.2)\n"
        "Negative prompt: blurry, text\n"
        "Steps: 20, Sampler: Euler a, Schedule type: Karras, CFG scale: 7.5, Seed: 7, Size: 512x768, "
        "Model: v1-5-pruned, Clip skip: 2, RNG: CPU, SGM noise multiplier: True, Emphasis: ComfyUI, "
        "Version: batchgen 0.1.0"
    )


def test_names_that_the_grammar_would_cut_are_quoted():
    odd = dataclasses.replace(MODEL, name='red, green: "blue"')

    assert split(write(job(odd), version="0.1.0")).fields["Model"] == 'red, green: "blue"'


def test_labels_are_different_for_different_samplers():
    assert len(set(SAMPLER_LABELS.values())) == len(SAMPLER_LABELS)


UPSCALING = Model(digest="2" * 64, family=UPSCALER, name="4x-Sharp", path="/models/4x-Sharp.pth")
GRAIN = File(digest="a" * 64, name="grain")
INK = File(digest="b" * 64, name="ink")


def enlarged(source, width, height):
    canvas = Canvas(width=width, height=height)
    return Job(model=UPSCALING, text=Text(prompt=""), canvas=canvas, sampling=UNSAMPLED, seed=0, init_image=source)


def second(first, source, **changes):
    start = Start(strength=0.4, resize_filter="bicubic")
    again = replace(first, canvas=Canvas(width=768, height=1152), start=start, init_image=source, mask_image=None)
    return replace(again, **changes)


def params(job):
    return write(job, version="0.1.0").rsplit("\n", 1)[-1]


def test_adapters_stand_at_the_end_of_the_prompt_as_a1111_has_them():
    found = write(job(loras=(Lora(file=GRAIN, scale=0.8, clip_scale=0.8), Lora(file=INK, clip_scale=0.5))), version="0")

    assert found.startswith("a heron at dawn, (mist:1.2) <lora:grain:0.8> <lora:ink:0.5:1>\n")
    assert 'Lora hashes: "grain: aaaaaaaaaaaa, ink: bbbbbbbbbbbb"' in found


def test_a_second_pass_is_said_with_the_size_of_the_first():
    first = job()

    found = params(second(first, Stage(job=first), sampling=replace(first.sampling, steps=12)))

    assert "Size: 512x768" in found
    assert "Denoising strength: 0.4, Hires upscale: 1.5, Hires steps: 12, Hires upscaler: Bicubic" in found


def test_a_second_pass_after_an_upscaler_names_it():
    first = job()
    between = Stage(job=enlarged(Stage(job=first), 768, 1152))

    assert "Hires upscaler: 4x-Sharp" in params(second(first, between))


def test_an_enlargement_adds_the_keys_of_the_tab_to_what_was_sampled():
    found = params(enlarged(Stage(job=job()), 1024, 1536))

    assert found.startswith("Steps: 20")
    assert found.endswith("Postprocess upscale by: 2.0, Postprocess upscaler: 4x-Sharp, Version: batchgen 0.1.0")


def test_an_enlarged_file_has_those_keys_alone():
    assert write(enlarged(File(digest="c" * 64), 640, 480), version="0") == (
        "Postprocess upscale to: 640x480, Postprocess upscaler: 4x-Sharp, Version: batchgen 0"
    )


plain = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\r"), max_size=60).map("x{}x".format)
scales = st.floats(-3, 3).filter(lambda scale: scale != 0)
loras = st.builds(
    lambda file, scale, clip: Lora(file=file, scale=scale, clip_scale=clip),
    st.sampled_from([GRAIN, INK]),
    scales,
    scales,
)
starts = {
    "strength": st.floats(0.01, 1),
    "resize": st.sampled_from(["crop", "stretch", "pad"]),
    "resize_filter": st.sampled_from(["nearest", "lanczos"]),
    "init_image": st.just(File(digest="d" * 64, name="photo, 1.png")),
}
masks = {
    "mask_image": st.just(File(digest="e" * 64, name="mask.png")),
    "mask_grow": st.integers(0, 9),
    "mask_blur": st.integers(0, 9),
    "mask_padding": st.none() | st.integers(0, 64),
    "mask_paste": st.booleans(),
    "mask_content": st.sampled_from(["original", "neutral"]),
}
fields = st.fixed_dictionaries(
    {
        "prompt": plain,
        "negative_prompt": plain,
        "emphasis": st.sampled_from(["comfy", "a1111", "none"]),
        "clip_skip": st.integers(1, 12),
        "seed": st.integers(0, 2**64 - 1),
        "steps": st.integers(1, 1000),
        "sampler": st.sampled_from(sorted(SAMPLERS)),
        "schedule": st.sampled_from(SCHEDULES),
        "guidance_scale": st.floats(0, 1000),
        "distilled_guidance": st.none() | st.floats(0, 100),
        "noise": st.sampled_from(["cpu", "cpu_continued", "nv"]),
        "noise_scale": st.sampled_from(["full", "sigma"]),
        "noise_index": st.integers(0, 3),
        "noise_rows": st.integers(1, 4),
        "precision": st.sampled_from(["auto", "fp32", "bf16"]),
        "rounding": st.sampled_from(["round", "truncate"]),
        "vae_tiling": st.sampled_from(["off", "on"]),
        "loras": st.lists(loras, max_size=3).map(tuple),
        "vae": st.none() | st.just(File(digest="f" * 64, name="ft-mse")),
    }
)
beginnings = st.just({}) | st.fixed_dictionaries(starts) | st.fixed_dictionaries(starts | masks)


def named(job):
    """Return the recipe with names for files, as a person writes it."""
    found = {name: value for name, value in job.recipe.items() if name not in ("model", "loras")}
    found |= {name: getattr(job, name).name for name in ("init_image", "mask_image", "vae") if name in found}
    said = [{"name": each.file.name, "scale": each.scale, "clip_scale": each.clip_scale} for each in job.loras]
    return found | ({"loras": said} if said else {})


def unsaid(found):
    """Leave out of what was read whatever a recipe leaves out: values that are neutral."""
    whole = {each.name: each.default for part in PARTS.values() for each in dataclasses.fields(part)}
    said = {name: value for name, value in found.items() if name not in whole or whole[name] != value}
    if "loras" in said:
        said["loras"] = [{"clip_scale": each["scale"]} | each for each in said["loras"]]
    return said


@given(fields=fields, beginning=beginnings, more=st.sampled_from(["", "hires", "upscale"]))
def test_every_field_comes_back(fields, beginning, more):
    """The grammar trims lines at `\\n` only as a whole; a line that begins with the marker is beyond it."""
    if re.search(r"(^|\n)\s*Negative prompt:", fields["prompt"] + "\n" + fields["negative_prompt"]):
        return
    first = job(**fields, **beginning)
    wanted = named(first)
    whole = first
    if more == "hires":
        whole = second(first, Stage(job=first), seed=3)
        own = {"seed": 3} if first.seed != 3 else {}
        wanted["hires"] = {"scale": 1.5, "upscaler": "bicubic", "strength": 0.4, "steps": first.sampling.steps} | own
    if more == "upscale":
        whole = enlarged(Stage(job=first), 1024, 1536)
        wanted["upscale"] = {"model": "4x-Sharp", "scale": 2.0}

    found = read_parameters(write(whole, version="0.1.0"), "p.png")

    assert unsaid(found.recipe) == wanted
    assert not found.refused
    assert not found.warnings
