import dataclasses
import re

from hypothesis import given
from hypothesis import strategies as st

from batchgen.interop.a1111 import SAMPLER_LABELS, read, write
from batchgen.job import Model, make_job

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
        "Model: v1-5-pruned, Clip skip: 2, RNG: CPU, Emphasis: ComfyUI, Version: batchgen 0.1.0"
    )


def test_what_a1111_writes_is_read():
    """Written by A1111 1.9, as its documentation shows it."""
    text = (
        "a photo of a cat,\nsecond line\nNegative prompt: dog,\nbird\n"
        'Steps: 28, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7, Seed: 1, Size: 512x512, Model: "a, b", '
        'Lora hashes: "x: 0123456789ab", Version: v1.9.4'
    )

    found = read(text)

    assert found.prompt == "a photo of a cat,\nsecond line"
    assert found.negative_prompt == "dog,\nbird"
    assert found.fields["Sampler"] == "DPM++ 2M"
    assert found.fields["Model"] == "a, b"
    assert found.fields["Lora hashes"] == "x: 0123456789ab"


def test_a_text_without_parameters_is_all_prompt():
    assert read("a cat\nSteps: yes").prompt == "a cat\nSteps: yes"


def test_names_that_the_grammar_would_cut_are_quoted():
    odd = dataclasses.replace(MODEL, name='red, green: "blue"')

    assert read(write(job(odd), version="0.1.0")).fields["Model"] == 'red, green: "blue"'


def test_labels_are_different_for_different_samplers():
    assert len(set(SAMPLER_LABELS.values())) == len(SAMPLER_LABELS)


plain = st.text(st.characters(exclude_categories=("Cs",)), max_size=60).map(lambda text: f"x{text}x")


@given(prompt=plain, negative=plain)
def test_prompts_come_back_unless_they_hold_the_marker_itself(prompt, negative):
    """The grammar trims lines at `\\n` only as a whole; a line that begins with the marker is beyond it."""
    if re.search(r"(^|\n)\s*Negative prompt:", prompt + "\n" + negative):
        return

    found = read(write(job(prompt=prompt, negative_prompt=negative), version="0.1.0"))

    assert (found.prompt, found.negative_prompt) == (prompt, negative)
    assert found.fields["Seed"] == "7"
