import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from batchgen.errors import UsageError
from batchgen.interop.comfyui import read_comfyui
from batchgen.interop.comfyui_writing import comfyui_graph
from batchgen.interop.imported import Imported, Needed, Refusal

PLAIN = {
    "prompt": "a (heron:1.2)",
    "negative_prompt": "blurry",
    "emphasis": "comfy",
    "clip_skip": 1,
    "seed": 2**63,
    "steps": 20,
    "sampler": "dpmpp_2m",
    "schedule": "karras",
    "guidance_scale": 7.5,
    "noise": "cpu",
    "noise_scale": "full",
    "rounding": "round",
    "precision": "fp16",
    "vae_tiling": "off",
    "width": 512,
    "height": 768,
}


def imported(checkpoint="base", **changes):
    recipe = {key: value for key, value in (PLAIN | changes).items() if value is not None}
    return Imported(source="p.png", recipe=recipe, checkpoint=Needed(kind="checkpoint", name=checkpoint))


def back(found, **options):
    """Write the graph, as JSON, and read it."""
    (read,) = read_comfyui(json.loads(json.dumps(comfyui_graph(found, **options))), "g.json")
    return read


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"rounding": "truncate", "precision": "auto"},
        {"clip_skip": 2},
        {"noise_index": 3},
        {"noise_index": 3, "noise_rows": 8, "sampler": "euler_ancestral"},
        {"noise_rows": 8, "sampler": "euler_ancestral"},
        {"vae": "ft-mse.safetensors"},
        {"loras": [{"name": "a.safetensors", "scale": 0.8}, {"name": "b.pt", "scale": 1.0, "clip_scale": 0.0}]},
        {"distilled_guidance": 3.5, "width": 1024, "height": 1024},
        {"init_image": "a.png", "strength": 0.6, "resize": "crop", "resize_filter": "bilinear"},
        {"init_image": "a.png", "strength": 0.6, "width": None, "height": None},
        {
            "init_image": "a.png",
            "strength": 1.0,
            "resize": "stretch",
            "resize_filter": "lanczos",
            "mask_image": "alpha",
            "mask_grow": 6,
            "mask_content": "neutral",
        },
        {
            "init_image": "a.png",
            "strength": 0.5,
            "width": None,
            "height": None,
            "mask_image": "m.png",
            "mask_grow": 0,
            "mask_content": "original",
        },
        {"hires": {"scale": 1.5, "upscaler": "lanczos", "strength": 0.4, "steps": 12}},
        {"hires": {"scale": 1.5, "upscaler": "lanczos", "strength": 0.4, "steps": 12, "seed": 9}},
        {"hires": {"scale": 2.0, "upscaler": "4x-UltraSharp.pth", "strength": 0.4, "steps": 12}},
        {"upscale": {"model": "4x-UltraSharp.pth"}},
        {"upscale": {"model": "4x-UltraSharp.pth", "scale": 2.0}},
        {
            "hires": {"scale": 1.5, "upscaler": "nearest", "strength": 0.4, "steps": 12},
            "upscale": {"model": "4x-UltraSharp.pth", "scale": 2.0},
        },
    ],
)
def test_a_graph_read_back_says_the_same_fields(changes):
    found = imported(**changes)

    again = back(found)

    assert again.recipe == found.recipe
    assert again.checkpoint == Needed(kind="checkpoint", name="base.safetensors")
    assert not again.refused


def test_the_levels_of_flux_are_of_the_pictures_size():
    found = imported(distilled_guidance=3.5)

    again = back(found, flux=True)

    assert again.recipe == found.recipe
    assert (again.warnings, again.refused) == ((), ())


@given(prompt=st.text(), negative=st.text(), seed=st.integers(0, 2**64 - 1), guidance=st.floats(0, 1000))
def test_texts_and_numbers_come_back_as_they_are(prompt, negative, seed, guidance):
    found = imported(prompt=f"x{prompt}", negative_prompt=negative, seed=seed, guidance_scale=guidance)

    if "<lora:" not in prompt + negative:
        assert back(found).recipe == found.recipe


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"emphasis": "a1111"}, "emphasis"),
        ({"noise": "nv"}, "noise"),
        ({"noise_scale": "sigma"}, "noise_scale"),
        ({"prompt": "a <lora:x:1>"}, "prompt"),
        ({"init_image": "a.png", "resize": "pad"}, "resize"),
        ({"init_image": "a.png", "mask_image": "alpha", "mask_blur": 4}, "mask_blur"),
        ({"init_image": "a.png", "mask_image": "alpha", "mask_padding": 32}, "mask_padding"),
        ({"init_image": "a.png", "mask_image": "alpha", "mask_grow": 4}, "mask_grow"),
        ({"init_image": "a.png", "noise_index": 1}, "noise_index"),
    ],
)
def test_a_field_that_no_graph_says_is_named(changes, field):
    with pytest.raises(UsageError, match=f"^p.png: no ComfyUI graph says {field}: "):
        comfyui_graph(imported(**changes))


def test_what_could_not_even_be_read_is_named():
    found = imported()
    refused = Imported(
        source="p.png", recipe=found.recipe, checkpoint=found.checkpoint, refused=(Refusal(what="x", reason="y"),)
    )

    with pytest.raises(UsageError, match="no ComfyUI graph: x: y"):
        comfyui_graph(refused)
