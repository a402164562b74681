import json
import struct
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from batchgen.errors import ModelError
from batchgen.job import Model
from batchgen.models.adapter import misfit, read_adapter, trigger_words
from batchgen.models.header import read_header
from batchgen.shipped import shipped_model

SD15 = "lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k"
SDXL = "lora_unet_input_blocks_4_1_transformer_blocks_1_attn2_to_k"
FLUX = "lora_unet_double_blocks_0_img_attn_qkv"
TEXT = "lora_te_text_model_encoder_layers_0_self_attn_q_proj"

Write = Callable[..., Path]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write a LoRA with layers of these outputs and inputs, and tensors of their own beside them."""

    def file(
        layers: Mapping[str, tuple[int, int]],
        *,
        rank: int = 4,
        factors: tuple[str, str] = ("lora_down", "lora_up"),
        more: Mapping[str, tuple[int, ...]] | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Path:
        shapes = dict(more or {})
        for name, (rows, columns) in layers.items():
            shapes[f"{name}.{factors[0]}.weight"] = (rank, columns)
            shapes[f"{name}.{factors[1]}.weight"] = (rows, rank)
        path = tmp_path / "grain.safetensors"
        tensors = {name: np.zeros(shape, np.float16) for name, shape in shapes.items()}
        save_file(tensors, path, metadata=dict(metadata or {}))
        return path

    return file


@pytest.fixture(scope="module")
def demo() -> Model:
    return Model(digest="0" * 64, family="sd15", name="demo_shapes", path=str(shipped_model("demo_shapes")))


def complaint(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        read_adapter(path)
    assert caught.value.where == str(path)
    assert "\n" not in str(caught.value)
    return caught.value.message


@pytest.mark.parametrize(
    ("layers", "families", "made_for"),
    [
        ({SD15: (320, 768)}, ("sd15",), "Stable Diffusion 1.5"),
        ({SDXL: (640, 2048)}, ("sdxl",), "Stable Diffusion XL"),
        ({FLUX: (9216, 3072)}, ("flux",), "FLUX.1"),
        ({"transformer.single_transformer_blocks.3.attn.to_q": (3072, 3072)}, ("flux",), "FLUX.1"),
        ({"transformer.transformer_blocks.3.attn.to_q": (1536, 1536)}, (), "another transformer than FLUX.1"),
        ({SD15: (320, 1024)}, (), "Stable Diffusion 2"),
        ({SD15: (64, 64)}, (), "a UNet with texts of width 64"),
        ({SD15.replace("attn2", "attn1"): (320, 320)}, ("sd15", "sdxl"), "Stable Diffusion 1.5 or Stable Diffusion XL"),
        ({SDXL.replace("attn2", "attn1"): (640, 640)}, ("sdxl",), "Stable Diffusion XL"),
        ({TEXT.replace("te_", "te2_"): (1280, 1280)}, ("sdxl",), "Stable Diffusion XL"),
        ({TEXT: (768, 768)}, (), "a text encoder"),
    ],
)
def test_the_family_is_seen_by_names_and_shapes(
    write: Write, layers: dict[str, tuple[int, int]], families: tuple[str, ...], made_for: str
) -> None:
    facts = read_adapter(write(layers))
    assert (facts.families, facts.made_for) == (families, made_for)


@pytest.mark.parametrize(
    ("name", "layout"),
    [
        (SD15, "kohya"),
        ("unet.down_blocks.0.attentions.0.proj_in", "diffusers"),
        ("diffusion_model.input_blocks.1.1.proj_in", "comfyui"),
        ("base_model.model.down_blocks.0.attentions.0.proj_in", "peft"),
        ("base_model.model.transformer.transformer_blocks.0.attn.to_q", "peft"),
        ("down_blocks.0.attentions.0.proj_in", "peft"),
    ],
)
def test_the_layout_is_told_by_how_names_begin(write: Write, name: str, layout: str) -> None:
    assert read_adapter(write({name: (8, 8)})).layout == layout


@pytest.mark.parametrize(
    "factors",
    [("lora_down", "lora_up"), ("lora_A", "lora_B"), ("lora_A.default", "lora_B.default"), ("lora.down", "lora.up")],
)
def test_factors_have_many_names(write: Write, factors: tuple[str, str]) -> None:
    (layer,) = read_adapter(write({"unet.conv_in": (16, 8)}, factors=factors)).layers
    assert (layer.part, layer.spelling, layer.shape, layer.rank) == ("denoiser", "conv_in", (16, 8), 4)
    assert (layer.down, layer.up) == tuple(f"unet.conv_in.{factor}.weight" for factor in factors)


def test_ranks_and_parts_are_listed(write: Write) -> None:
    more = {f"{TEXT}.lora_down.weight": (2, 768), f"{TEXT}.lora_up.weight": (768, 2), f"{TEXT}.alpha": ()}
    facts = read_adapter(write({SD15: (320, 768)}, rank=16, more=more))
    assert (facts.ranks, set(facts.parts), facts.name) == ((2, 16), {"denoiser", "text_encoder"}, "grain")
    assert {layer.alpha for layer in facts.layers} == {None, f"{TEXT}.alpha"}


@pytest.mark.parametrize(
    ("tensor", "kind"),
    [
        (f"{SD15}.hada_w1_a", "a LoHa"),
        (f"{SD15}.lokr_w1", "a LoKr"),
        (f"{SD15}.dora_scale", "a DoRA"),
        ("unet.conv_in.lora_magnitude_vector.weight", "a DoRA"),
        (f"{SD15}.oft_blocks", "an OFT or BOFT"),
        ("unet.conv_in.boft_R", "a BOFT"),
        (f"{SD15}.a1.weight", "a GLoRA"),
        (f"{SD15}.diff", "an adapter of whole weights"),
        ("unet.conv_in.lora_B.bias", "a LoRA with biases"),
        ("bundle_emb.word.string_to_param.*", "a LoRA with embeddings bundled into it"),
    ],
)
@pytest.mark.parametrize("beside", [{}, {SD15: (320, 768)}])
def test_relatives_of_the_lora_are_refused_by_name(
    write: Write, tensor: str, kind: str, beside: dict[str, tuple[int, int]]
) -> None:
    assert complaint(write(beside, more={tensor: (4, 4)})).startswith(f"is {kind}, which batchgen does not do")


def test_tensors_of_no_known_kind_are_not_passed_over(write: Write) -> None:
    assert complaint(write({SD15: (320, 768)}, more={"surprise": (2,)})) == (
        "holds 1 tensors that belong to no LoRA, surprise for one"
    )


def test_a_whole_checkpoint_is_no_lora(write: Write) -> None:
    assert complaint(write({}, more={"model.diffusion_model.out.2.weight": (4, 4)})) == (
        "is no LoRA: no tensor in it is a part of one"
    )


def test_half_a_layer_is_damage(write: Write) -> None:
    assert (
        complaint(write({}, more={f"{SD15}.lora_down.weight": (4, 8)})) == f"is damaged: its layer {SD15} has no `up`"
    )
    more = {f"{SD15}.lora_down.weight": (4, 8), f"{SD15}.lora_up.weight": (8, 3)}
    assert "different ranks" in complaint(write({}, more=more))


def test_an_alpha_of_no_layer_is_damage(write: Write) -> None:
    assert complaint(write({SD15: (8, 8)}, more={f"{TEXT}.alpha": ()})) == f"is damaged: its layer {TEXT} has no `down`"


def test_a_cut_file_and_a_pickle_are_refused_as_models_are(write: Write, tmp_path: Path) -> None:
    path = write({SD15: (320, 768)})
    path.write_bytes(path.read_bytes()[:-10])
    assert complaint(path) == "is cut short: 10 of 8704 bytes of data are missing"
    path.write_bytes(b"PK\x03\x04" + b"0" * 100)
    assert complaint(path).startswith("is a pickle")


def test_trigger_words_are_what_the_trainer_noted() -> None:
    tags = {"10_ohwx": {"ohwx": 20, " grain": 7}, "1_more": {"grain": 9, "film": 1}}
    assert trigger_words({"ss_tag_frequency": json.dumps(tags)}) == ("ohwx", "grain", "film")
    assert trigger_words({"modelspec.trigger_phrase": " film grain "}) == ("film grain",)
    assert trigger_words({}) == ()


@pytest.mark.parametrize("tags", ["{", "[]", '{"a": 1}', '{"a": {"b": "c"}}', "[" * 100_000])
def test_notes_that_make_no_sense_are_no_error(write: Write, tags: str) -> None:
    facts = read_adapter(write({SD15: (320, 768)}, metadata={"lora_adapter_metadata": tags}))
    assert (trigger_words({"ss_tag_frequency": tags}), facts.layers[0].strength) == ((), 1.0)


@pytest.mark.parametrize(
    ("config", "strength"),
    [
        ({}, 1.0),
        ({"unet.lora_alpha": 8}, 2.0),
        ({"unet.lora_alpha": 8, "unet.use_rslora": True}, 4.0),
        ({"unet.lora_alpha": 8, "unet.alpha_pattern": {"attn2.to_k": 2}}, 0.5),
        ({"unet.lora_alpha": 8, "unet.alpha_pattern": {"to_q": 2}}, 2.0),
        ({"unet.lora_alpha": "8", "unet.alpha_pattern": 3}, 1.0),
        ({"text_encoder.lora_alpha": 8}, 1.0),
    ],
)
def test_pefts_alpha_is_read_from_the_notes_of_diffusers(
    write: Write, config: dict[str, object], strength: float
) -> None:
    path = write({"unet.mid_block.attn2.to_k": (8, 8)}, metadata={"lora_adapter_metadata": json.dumps(config)})
    assert read_adapter(path).layers[0].strength == strength


def test_a_lora_of_stable_diffusion_does_not_fit_its_small_namesake(write: Write, demo: Model) -> None:
    name = SD15.replace("down_blocks_0", "down_blocks_1")
    assert misfit(write({name: (640, 768)}), demo) == (
        "LoRA 'grain' is for Stable Diffusion 1.5 and does not fit model 'demo_shapes' (Stable Diffusion 1.5): "
        f"1 of its 1 layers do not fit, such as {name} (768 to 640, there 64 to 64)"
    )
    assert misfit(write({name: (64, 64)}), demo) is None


def test_a_layer_that_is_there_twice_is_not_added_twice(write: Write, demo: Model) -> None:
    names = ("lora_unet_down_blocks_1_attentions_0_proj_in", "lora_unet_input_blocks_3_1_proj_in")
    line = misfit(write(dict.fromkeys(names, (64, 64))), demo)
    assert line is not None
    assert "1 of its 2 layers do not fit, such as lora_unet_" in line
    assert line.endswith("(which it has twice, under two names)")


@pytest.mark.parametrize("name", [SD15, SDXL, FLUX, TEXT.replace("te_", "te2_"), "unet.surprise"])
def test_layers_that_a_model_lacks_are_named_with_both_names(write: Write, demo: Model, name: str) -> None:
    line = misfit(write({name: (64, 64)}), demo)
    assert line is not None
    assert "LoRA 'grain'" in line
    assert "model 'demo_shapes'" in line
    assert line.endswith(f"1 of its 1 layers are not in the model: {name}")


def test_every_matrix_of_a_model_can_have_a_lora(write: Write, demo: Model) -> None:
    layers: dict[str, tuple[int, int]] = {}
    for prefix, file in (
        ("lora_unet_", "unet/diffusion_pytorch_model.safetensors"),
        ("lora_te_text_model_", "text_encoder/model.safetensors"),
    ):
        for name, tensor in read_header(Path(demo.path) / file).tensors.items():
            if name.endswith(".weight") and len(tensor.shape) > 1 and "embeddings." not in name:
                rows, *rest = tensor.shape
                layers[prefix + name.removesuffix(".weight").replace(".", "_")] = (rows, int(np.prod(rest)))
    assert len(layers) > 100
    assert misfit(write(layers), demo) is None
    assert misfit(write({"lora_te_text_model_embeddings_token_embedding": (662, 64)}), demo) is not None


SINGLE = {
    "sd15": {
        "model.diffusion_model.input_blocks.1.1.proj_in.weight": (320, 320, 1, 1),
        "model.diffusion_model.input_blocks.3.0.op.weight": (320, 320, 3, 3),
        "model.diffusion_model.input_blocks.4.0.skip_connection.weight": (640, 320, 1, 1),
        "model.diffusion_model.output_blocks.2.1.conv.weight": (1280, 1280, 3, 3),
        "model.diffusion_model.output_blocks.3.1.proj_in.weight": (1280, 1280, 1, 1),
        "cond_stage_model.transformer.text_model.encoder.layers.0.self_attn.q_proj.weight": (768, 768),
        **{f"model.diffusion_model.input_blocks.{n}.0.in_layers.2.weight": (8, 8, 3, 3) for n in (1, 2, 5, 7, 8)},
        **{f"model.diffusion_model.input_blocks.{n}.0.op.weight": (8, 8, 3, 3) for n in (6, 9)},
        **{f"model.diffusion_model.input_blocks.{n}.0.in_layers.2.weight": (8, 8, 3, 3) for n in (10, 11)},
    },
    "sdxl": {
        "model.diffusion_model.label_emb.0.0.weight": (1280, 2816),
        "conditioner.embedders.0.transformer.text_model.encoder.layers.0.mlp.fc1.weight": (3072, 768),
        "conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight": (3840, 1280),
        "conditioner.embedders.1.model.transformer.resblocks.0.mlp.c_fc.weight": (5120, 1280),
        "conditioner.embedders.1.model.text_projection": (1280, 1280),
    },
    "flux": {
        "model.diffusion_model.double_blocks.0.img_attn.qkv.weight": (9216, 3072),
        "model.diffusion_model.single_blocks.1.linear1.weight": (21504, 3072),
        "model.diffusion_model.final_layer.adaLN_modulation.1.weight": (6144, 3072),
    },
}


@pytest.mark.parametrize(
    ("family", "layers"),
    [
        ("sd15", {"lora_unet_down_blocks_0_attentions_0_proj_in": (320, 320)}),
        ("sd15", {"diffusion_model.input_blocks.1.1.proj_in": (320, 320)}),
        ("sd15", {"lora_unet_down_blocks_1_resnets_0_conv_shortcut": (640, 320)}),
        ("sd15", {"lora_unet_up_blocks_0_upsamplers_0_conv": (1280, 1280 * 9)}),
        ("sd15", {"lora_unet_output_blocks_2_1_conv": (1280, 1280 * 9)}),
        ("sd15", {"lora_unet_up_blocks_1_attentions_0_proj_in": (1280, 1280)}),
        ("sd15", {TEXT: (768, 768)}),
        ("sdxl", {"lora_unet_label_emb_0_0": (1280, 2816)}),
        ("sdxl", {"unet.add_embedding.linear_1": (1280, 2816)}),
        ("sdxl", {"lora_te1_text_model_encoder_layers_0_mlp_fc1": (3072, 768)}),
        ("sdxl", {"lora_te2_text_model_encoder_layers_0_mlp_fc1": (5120, 1280)}),
        ("sdxl", {"lora_te2_text_model_encoder_layers_0_self_attn_v_proj": (1280, 1280)}),
        ("sdxl", {"lora_te2_text_projection": (1280, 1280)}),
        ("flux", {FLUX: (9216, 3072)}),
        ("flux", {"transformer.transformer_blocks.0.attn.to_k": (3072, 3072)}),
        ("flux", {"transformer.single_transformer_blocks.1.proj_mlp": (12288, 3072)}),
        ("flux", {"lora_unet_single_blocks_1_linear1": (21504, 3072)}),
        ("flux", {"lora_unet_final_layer_adaLN_modulation_1": (6144, 3072)}),
    ],
)
def test_layers_are_found_in_a_single_file_by_either_name(
    write: Write, tmp_path: Path, family: str, layers: dict[str, tuple[int, int]]
) -> None:
    shapes = SINGLE[family]
    header: dict[str, object] = {}
    end = 0
    for name, shape in shapes.items():
        begin, end = end, end + int(np.prod(shape)) * 2
        header[name] = {"dtype": "F16", "shape": shape, "data_offsets": [begin, end]}
    words = json.dumps(header).encode()
    path = tmp_path / "mine.ckpt.safetensors"
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(words)) + words)
        # A hole in the file: it is as long as it must be, and takes no room on disk.
        file.truncate(8 + len(words) + end)
    model = Model(digest="0" * 64, family=family, name="mine", path=str(path))
    assert misfit(write(layers), model) is None
    ((name, (rows, columns)),) = layers.items()
    line = misfit(write({name: (rows, columns + 1)}), model)
    assert line is not None
    assert f"{name} ({columns + 1} to {rows}, there {columns} to {rows})" in line


def test_text_encoders_that_are_not_in_a_single_file_are_not_judged(write: Write, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    save_file({"double_blocks.0.img_attn.qkv.weight": np.zeros((9, 3), np.float16)}, path)
    model = Model(digest="0" * 64, family="flux", name="mine", path=str(path))
    assert misfit(write({FLUX: (9, 3), TEXT.replace("te_", "te1_"): (768, 768)}), model) is None
