from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from batchgen.models.components import PREFIXES, carried, configure
from batchgen.models.header import Header, Tensor, read_header
from batchgen.models.recognise import recognise

UNET = "model.diffusion_model."
Shapes = Mapping[str, tuple[int, ...]]


def header(shapes: Shapes, dtype: str = "F16", **metadata: str) -> Header:
    return Header(tensors={name: Tensor(dtype, shape, 2) for name, shape in shapes.items()}, metadata=metadata)


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_a_whole_checkpoint_is_told_by_its_names_and_shapes(
    tmp_path: Path, whole: Mapping[str, Shapes], make_weights: Callable[..., Path], family: str
) -> None:
    found = recognise(read_header(make_weights(tmp_path / "w.safetensors", whole[family])))
    assert (found.kind, found.family, found.refused, found.dtype) == ("checkpoint", family, "", "fp16")
    assert found.parameters > 1000


@pytest.mark.parametrize(
    ("name", "kind", "family"),
    [
        ("vae", "vae", None),
        ("clip", "text_encoder", None),
        ("t5", "text_encoder", None),
        ("flux", "diffusion_model", "flux"),
        ("unet", "diffusion_model", "sd15"),
    ],
)
def test_a_component_by_itself_is_told(cast: Mapping[str, Shapes], name: str, kind: str, family: str | None) -> None:
    found = recognise(header(cast[name]))
    assert (found.kind, found.family, found.refused) == (kind, family, "")


@pytest.mark.parametrize(
    ("shapes", "kind", "family"),
    [
        ({"lora_unet_down_blocks_0_attentions_0_attn2_to_k.lora_down.weight": (4, 768)}, "lora", "sd15"),
        ({"unet.mid_block.attn2.to_k.lora_A.weight": (4, 2048)}, "lora", "sdxl"),
        ({"transformer.single_transformer_blocks.0.attn.to_q.lora_B.weight": (4, 4)}, "lora", "flux"),
        ({"lora_te2_text_model_encoder_layers_0_mlp_fc1.lora_up.weight": (4, 4)}, "lora", "sdxl"),
        ({"a.lora_up.weight": (4, 4)}, "lora", None),
        ({"decoder.conv_in.weight": (8, 16, 3, 3)}, "vae", "flux"),
        ({"conv_first.weight": (64, 3, 3, 3), "body.0.rdb1.conv1.weight": (4, 4, 3, 3)}, "upscaler", None),
        ({"emb_params": (4, 768)}, "embedding", "sd15"),
        ({"clip_l": (4, 768), "clip_g": (4, 1280)}, "embedding", "sdxl"),
        ({"control_model.input_blocks.0.0.weight": (4, 4)}, "controlnet", None),
        ({"w": (2,)}, "unknown", None),
    ],
)
def test_what_is_no_model_by_itself_is_told(shapes: Shapes, kind: str, family: str | None) -> None:
    found = recognise(header(shapes))
    assert (found.kind, found.family) == (kind, family)


@pytest.mark.parametrize(
    ("shapes", "words"),
    [
        ({"joint_blocks.0.w": (2, 2)}, "Stable Diffusion 3"),
        ({"input_blocks.0.0.weight": (2, 4, 3, 3), "x.attn2.to_k.weight": (4, 1024)}, "Stable Diffusion 2"),
        ({"input_blocks.0.0.weight": (2, 4, 3, 3), "x.attn2.to_k.weight": (4, 1280)}, "SDXL refiner"),
        ({"input_blocks.0.0.weight": (2, 4, 3, 3), "edm_mean": (1,)}, "EDM"),
        ({"double_blocks.0.img_attn.qkv.weight": (2, 2)}, "relative of FLUX.1"),
    ],
)
def test_what_cannot_be_rendered_with_is_refused_by_name(shapes: Shapes, words: str) -> None:
    found = recognise(header({UNET + name: shape for name, shape in shapes.items()}))
    assert found.family is None
    assert words in found.refused


@pytest.mark.parametrize("mark", ["double_blocks.0.img_attn.proj.scale_weight", "scaled_fp8", "x.weight.absmax"])
def test_a_quantised_model_is_refused(whole: Mapping[str, Shapes], mark: str) -> None:
    assert "is quantised" in recognise(header({**whole["flux"], mark: (1,)})).refused
    assert not recognise(header(whole["flux"], "F8_E4M3")).refused


def test_what_is_special_is_told_from_shapes_marks_and_metadata(whole: Mapping[str, Shapes]) -> None:
    def variant(shapes: Shapes, **metadata: str) -> str:
        return recognise(header({**whole["sdxl"], **shapes}, **metadata)).variant

    assert variant({}) == ""
    assert variant({UNET + "input_blocks.0.0.weight": (32, 9, 3, 3)}) == "inpainting"
    assert variant({"v_pred": (0,)}) == "v-prediction"
    assert variant({}, **{"modelspec.prediction_type": "v"}) == "v-prediction"
    assert variant({}, **{"modelspec.title": "My Turbo"}) == "turbo"


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_every_component_is_configured_from_shapes_over_what_the_family_has(
    whole: Mapping[str, Shapes], family: str
) -> None:
    found = configure(header(whole[family]), family)
    assert found.keys() == {*PREFIXES[family], "scheduler"}
    for component, numbers in found.items():
        assert numbers.keys() == carried(family, component).keys()
    assert found["vae"]["block_out_channels"] == [32, 64]
    assert (found["text_encoder"]["vocab_size"], found["text_encoder"]["num_attention_heads"]) == (516, 1)


def test_shapes_tell_depths_widths_and_channels(whole: Mapping[str, Shapes]) -> None:
    unet = configure(header({**whole["sdxl"], UNET + "input_blocks.0.0.weight": (32, 9, 3, 3)}), "sdxl")["unet"]
    assert unet["in_channels"] == 9
    assert unet["block_out_channels"] == [32, 64]
    assert unet["down_block_types"] == ["DownBlock2D", "CrossAttnDownBlock2D"]
    assert unet["up_block_types"] == ["CrossAttnUpBlock2D", "UpBlock2D"]
    assert unet["addition_time_embed_dim"] == 8
    transformer = configure(header(whole["flux"]), "flux")["transformer"]
    assert (transformer["num_layers"], transformer["num_single_layers"], transformer["num_attention_heads"]) == (
        1,
        1,
        2,
    )
    assert transformer["axes_dims_rope"] == [4, 14, 14]


def test_flux_schnell_is_the_one_that_is_told_no_guidance(whole: Mapping[str, Shapes]) -> None:
    dev = configure(header(whole["flux"]), "flux")["scheduler"]
    bare = {name: shape for name, shape in whole["flux"].items() if "guidance_in" not in name}
    schnell = configure(header(bare), "flux")["scheduler"]
    assert (dev["shift"], dev["use_dynamic_shifting"]) == (3.0, True)
    assert (schnell["shift"], schnell["use_dynamic_shifting"]) == (1.0, False)


def test_a_model_of_zero_terminal_snr_says_so(whole: Mapping[str, Shapes]) -> None:
    scheduler = configure(header({**whole["sdxl"], "v_pred": (0,), "ztsnr": (0,)}), "sdxl")["scheduler"]
    assert (scheduler["prediction_type"], scheduler["rescale_betas_zero_snr"]) == ("v_prediction", True)


@pytest.mark.parametrize(
    ("title", "names"),
    [
        ("Wan", ["model.diffusion_model.patch_embedding.weight", "model.diffusion_model.blocks.0.self_attn.q.weight"]),
        ("Wan", ["patch_embedding.weight", "blocks.0.attn1.to_q.weight"]),
        (
            "LTX-Video",
            ["model.diffusion_model.patchify_proj.weight", f"{UNET}transformer_blocks.0.attn1.to_q.weight"],
        ),
        ("CogVideoX", ["patch_embed.proj.weight", "patch_embed.text_proj.weight"]),
    ],
)
def test_a_model_of_clips_in_a_file_is_told_by_name_with_what_to_get_instead(title: str, names: list[str]) -> None:
    found = recognise(header(dict.fromkeys(names, (4, 4))))
    assert (found.kind, found.family) == ("diffusion_model", None)
    assert found.refused == (
        f"is {title} in a file; batchgen makes clips with a model's diffusers folder (source.hub, .folder)"
    )
