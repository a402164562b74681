"""The LoRAs that ship for demo_shapes, and what they learn from."""

from itertools import islice

import pytest
import torch
from safetensors import safe_open

from batchgen.demo.captions import plain_caption
from batchgen.demo.drawings import dressed, stream
from batchgen.demo.evaluate import MODEL, Rendering, load, render
from batchgen.demo.evaluate_loras import LORAS, pictures, scenes
from batchgen.demo.lora import COURSES, Album, metadata
from batchgen.demo.style_judge import look_at

LIMIT = 1_000_000
"""Bytes of all LoRAs together."""

# diffusers hands a tensor to numpy in a way that numpy 2 finds old-fashioned.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def header(name):
    with safe_open(LORAS / f"{name}.safetensors", framework="pt") as file:
        kinds = {key: file.get_slice(key).get_dtype() for key in file.keys()}  # noqa: SIM118 - not a mapping
        return kinds, file.metadata()


def test_together_they_are_small():
    assert sum(path.stat().st_size for path in LORAS.glob("*.safetensors")) < LIMIT


def test_each_is_of_another_layout_and_of_half_precision():
    striped, outlined = header("striped")[0], header("outlined")[0]

    assert set(striped.values()) == set(outlined.values()) == {"F16"}
    assert all(name.endswith((".lora_down.weight", ".lora_up.weight", ".alpha")) for name in striped)
    assert all(name.startswith(("lora_unet_", "lora_te_")) for name in striped)
    assert any(name.startswith("lora_te_text_model_encoder_layers_0_self_attn_q_proj.") for name in striped)
    assert all(name.startswith("unet.") and ".lora_" in name for name in outlined)


@pytest.mark.parametrize("name", COURSES)
def test_a_file_names_its_trigger_and_what_it_learnt_from(name):
    about = header(name)[1]

    assert about["modelspec.trigger_phrase"] == name
    assert "drawings" in about["training"]
    assert set(metadata(COURSES[name], 1)) <= set(about)


@pytest.fixture(scope="module")
def pipeline():
    torch.set_num_threads(1)
    return load(MODEL)


@pytest.mark.parametrize("styles", [(), ("striped",), ("outlined",), ("striped", "outlined")])
def test_pictures_show_the_styles_of_the_loras_attached(styles, pipeline):
    prompts = [plain_caption(scene) for scene in scenes(12)]

    looks = [look_at(picture) for picture in pictures(pipeline, LORAS, styles, prompts, 1.0)]

    assert sum(look.styles == set(styles) for look in looks) >= (6 if len(styles) == 2 else 10)


def test_at_scale_0_a_picture_is_that_of_the_model_bit_for_bit(pipeline):
    prompts = ["a red heart on a white background"]

    plain, without, dressed_up = (
        picture.tobytes()
        for picture in (
            render(pipeline, prompts, Rendering())[0],
            pictures(pipeline, LORAS, ("striped", "outlined"), prompts, 0.0)[0],
            pictures(pipeline, LORAS, ("striped", "outlined"), prompts, 1.0)[0],
        )
    )

    assert plain == without
    assert plain != dressed_up


def album(words=("striped",)):
    found = [dressed(scene, frozenset(words)) for scene in islice(stream("album"), 64)]
    return Album(latents=torch.arange(64.0)[:, None, None, None].expand(-1, 4, 16, 16), scenes=found, words=words)


def test_a_step_always_gets_the_same_lesson():
    first, again, other = (album().batch(step, 8) for step in (3, 3, 4))

    assert first[1] == again[1] != other[1]
    assert torch.equal(first[0], again[0])


def test_about_half_of_the_captions_name_the_style_and_one_in_ten_is_empty():
    texts = [text for step in range(40) for text in album().batch(step, 32)[1]]

    assert 0.38 < sum("striped" in text for text in texts) / len(texts) < 0.52
    assert 0.06 < texts.count("") / len(texts) < 0.14


def test_two_styles_are_named_together():
    texts = [text for step in range(10) for text in album(("striped", "outlined")).batch(step, 32)[1]]

    assert any(text.startswith("striped, outlined, a") for text in texts)
    assert all(("striped" in text) == ("outlined" in text) for text in texts)
