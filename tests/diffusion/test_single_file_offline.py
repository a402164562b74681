"""Single files in the layouts that people have, with random weights: nothing but the file and a vocabulary is here.

Each is written twice, as a diffusers folder whose configurations are said in full, and as one file that has none. The
file must give the picture of the folder.
"""

import json
import os
import re
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
)

from batchgen.demo.tokenizer import write_tokenizer
from batchgen.diffusion.engine import DiffusionEngine
from batchgen.diffusion.loading import load_vae
from batchgen.errors import ModelError
from batchgen.models.components import carried, configure
from batchgen.models.digest import DigestCache
from batchgen.models.find import Source
from batchgen.models.folder import read_json
from batchgen.models.header import Header, Tensor
from batchgen.models.option import ModelConf
from batchgen.models.resolve import resolve

WORDS = ["a", "red", "blue", "green", "circle", "square"]
PIECES = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
PIECES += [(f"▁{word}", -1.5) for word in WORDS] + [(chr(code), -6.25) for code in range(33, 127)]

NOISE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "steps_offset": 1,
}
FLOW = {
    "base_image_seq_len": 256,
    "base_shift": 0.5,
    "max_image_seq_len": 4096,
    "max_shift": 1.15,
    "num_train_timesteps": 1000,
    "shift": 3.0,
    "use_dynamic_shifting": True,
}


# The models, small, each number of the architecture said.


def vae(channels, **config):
    return AutoencoderKL(
        block_out_channels=(32, 32, 64, 64),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        layers_per_block=1,
        latent_channels=channels,
        norm_num_groups=32,
        **config,
    )


def clip(kind, width, layers, rows, pad, **config):
    settings = CLIPTextConfig(
        vocab_size=rows,
        hidden_size=width,
        intermediate_size=width * 2,
        num_hidden_layers=layers,
        num_attention_heads=width // 64,
        bos_token_id=rows - 2,
        eos_token_id=rows - 1,
        pad_token_id=pad,
        **config,
    )
    return kind(settings)


def build_sd15(rows, **config):
    """A UNet of two levels, as wide as it may be narrow."""
    return {
        "unet": UNet2DConditionModel(
            block_out_channels=(32, 64),
            layers_per_block=1,
            down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
            up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
            attention_head_dim=8,
            cross_attention_dim=768,
            **config,
        ),
        "vae": vae(4, scaling_factor=0.18215),
        "text_encoder": clip(CLIPTextModel, 768, 2, rows, rows - 1),
    }


def build_sdxl(rows, **config):
    return {
        "unet": UNet2DConditionModel(
            block_out_channels=(64, 128),
            layers_per_block=2,
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
            attention_head_dim=(1, 2),
            transformer_layers_per_block=(1, 2),
            use_linear_projection=True,
            cross_attention_dim=64 + 128,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            projection_class_embeddings_input_dim=128 + 6 * 8,
            **config,
        ),
        "vae": vae(4, scaling_factor=0.13025, force_upcast=True),
        "text_encoder": clip(CLIPTextModel, 64, 2, rows, rows - 1),
        "text_encoder_2": clip(CLIPTextModelWithProjection, 128, 3, rows, 0, hidden_act="gelu", projection_dim=128),
    }


def build_flux(rows):
    t5 = T5Config(
        vocab_size=128,
        d_model=32,
        d_kv=8,
        d_ff=48,
        num_layers=2,
        num_heads=4,
        feed_forward_proj="gated-gelu",
    )
    return {
        "transformer": FluxTransformer2DModel(
            in_channels=64,
            num_layers=2,
            num_single_layers=1,
            attention_head_dim=32,
            num_attention_heads=2,
            joint_attention_dim=32,
            pooled_projection_dim=64,
            guidance_embeds=True,
            axes_dims_rope=(4, 14, 14),
        ),
        "vae": vae(16, scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False),
        "text_encoder": clip(CLIPTextModel, 64, 2, rows, rows - 1),
        "text_encoder_2": T5EncoderModel(t5),
    }


BUILD = {"sd15": build_sd15, "sdxl": build_sdxl, "flux": build_flux}
PIPELINES = {"sd15": "StableDiffusionPipeline", "sdxl": "StableDiffusionXLPipeline", "flux": "FluxPipeline"}


# The names that the programs which trained such models give to weights.


RESNET = {
    "norm1": "in_layers.0",
    "conv1": "in_layers.2",
    "time_emb_proj": "emb_layers.1",
    "norm2": "out_layers.0",
    "conv2": "out_layers.3",
    "conv_shortcut": "skip_connection",
}
UNET_NAMES = {
    "time_embedding.linear_1": "time_embed.0",
    "time_embedding.linear_2": "time_embed.2",
    "add_embedding.linear_1": "label_emb.0.0",
    "add_embedding.linear_2": "label_emb.0.2",
    "conv_in": "input_blocks.0.0",
    "conv_norm_out": "out.0",
    "conv_out": "out.2",
}


def ldm_unet(unet):
    each = unet.config.layers_per_block + 1
    found = {}
    for name, weight in unet.state_dict().items():
        stem, _, kind = name.rpartition(".")
        found[f"model.diffusion_model.{ldm_unet_name(stem, each, name, unet)}.{kind}"] = weight
    return found


def ldm_unet_name(stem, each, name, unet):
    if stem in UNET_NAMES:
        return UNET_NAMES[stem]
    match = re.fullmatch(r"(down|up)_blocks\.(\d)\.(resnets|attentions|downsamplers|upsamplers)\.(\d)\.(.+)", stem)
    if not match:
        _, kind, number, rest = re.fullmatch(r"(mid_block)\.(resnets|attentions)\.(\d)\.(.+)", stem).groups()
        return f"middle_block.1.{rest}" if kind == "attentions" else f"middle_block.{2 * int(number)}.{RESNET[rest]}"
    way, block, kind, number, rest = match[1], int(match[2]), match[3], int(match[4]), match[5]
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * each}.0.op"
    if kind == "upsamplers":
        attends = "CrossAttn" in unet.config.up_block_types[block]
        return f"output_blocks.{(block + 1) * each - 1}.{2 if attends else 1}.conv"
    place = f"input_blocks.{1 + block * each + number}" if way == "down" else f"output_blocks.{block * each + number}"
    return f"{place}.0.{RESNET[rest]}" if kind == "resnets" else f"{place}.1.{rest}"


VAE_NAMES = [
    (r"mid_block\.resnets\.0", "mid.block_1"),
    (r"mid_block\.resnets\.1", "mid.block_2"),
    (r"mid_block\.attentions\.0", "mid.attn_1"),
    (r"attn_1\.group_norm", "attn_1.norm"),
    (r"attn_1\.to_([qkv])", r"attn_1.\1"),
    (r"attn_1\.to_out\.0", "attn_1.proj_out"),
    (r"down_blocks\.(\d)\.resnets\.(\d)", r"down.\1.block.\2"),
    (r"down_blocks\.(\d)\.downsamplers\.0\.conv", r"down.\1.downsample.conv"),
    (r"up_blocks\.(\d)\.resnets\.(\d)", lambda m: f"up.{3 - int(m[1])}.block.{m[2]}"),
    (r"up_blocks\.(\d)\.upsamplers\.0\.conv", lambda m: f"up.{3 - int(m[1])}.upsample.conv"),
    (r"conv_shortcut", "nin_shortcut"),
    (r"conv_norm_out", "norm_out"),
]


def ldm_vae(autoencoder, prefix="first_stage_model."):
    found = {}
    for old, weight in autoencoder.state_dict().items():
        name = old
        for pattern, replacement in VAE_NAMES:
            name = re.sub(pattern, replacement, name)
        matrix = re.search(r"attn_1\.(q|k|v|proj_out)\.weight", name)
        found[prefix + name] = weight[:, :, None, None].contiguous() if matrix else weight
    return found


def plain_clip(encoder, prefix):
    return {
        f"{prefix}text_model.{name.removeprefix('text_model.')}": each for name, each in encoder.state_dict().items()
    }


OPEN_CLIP = {"layer_norm1": "ln_1", "layer_norm2": "ln_2", "mlp.fc1": "mlp.c_fc", "mlp.fc2": "mlp.c_proj"}
OPEN_CLIP |= {"self_attn.out_proj": "attn.out_proj"}


def open_clip(encoder, prefix):
    weights = {name.removeprefix("text_model."): weight for name, weight in encoder.state_dict().items()}
    found = {
        "token_embedding.weight": weights["embeddings.token_embedding.weight"],
        "positional_embedding": weights["embeddings.position_embedding.weight"],
        "text_projection": weights["text_projection.weight"].T.contiguous(),
        "ln_final.weight": weights["final_layer_norm.weight"],
        "ln_final.bias": weights["final_layer_norm.bias"],
        "logit_scale": torch.ones([]),
    }
    for name, weight in weights.items():
        match = re.fullmatch(r"encoder\.layers\.(\d+)\.(.+)\.(weight|bias)", name)
        if not match:
            continue
        block = f"transformer.resblocks.{match[1]}"
        if match[2] in OPEN_CLIP:
            found[f"{block}.{OPEN_CLIP[match[2]]}.{match[3]}"] = weight
        elif match[2] == "self_attn.q_proj":
            three = [weights[f"encoder.layers.{match[1]}.self_attn.{each}_proj.{match[3]}"] for each in "qkv"]
            found[f"{block}.attn.in_proj_{match[3]}"] = torch.cat(three)
    return {prefix + name: weight for name, weight in found.items()}


FLUX_NAMES = [
    (r"^time_text_embed\.timestep_embedder\.linear_1", "time_in.in_layer"),
    (r"^time_text_embed\.timestep_embedder\.linear_2", "time_in.out_layer"),
    (r"^time_text_embed\.text_embedder\.linear_1", "vector_in.in_layer"),
    (r"^time_text_embed\.text_embedder\.linear_2", "vector_in.out_layer"),
    (r"^time_text_embed\.guidance_embedder\.linear_1", "guidance_in.in_layer"),
    (r"^time_text_embed\.guidance_embedder\.linear_2", "guidance_in.out_layer"),
    (r"^context_embedder", "txt_in"),
    (r"^x_embedder", "img_in"),
    (r"^proj_out", "final_layer.linear"),
    (r"^single_transformer_blocks", "single_blocks"),
    (r"^transformer_blocks", "double_blocks"),
    (r"norm1\.linear", "img_mod.lin"),
    (r"norm1_context\.linear", "txt_mod.lin"),
    (r"attn\.to_out\.0", "img_attn.proj"),
    (r"attn\.to_add_out", "txt_attn.proj"),
    (r"ff\.net\.0\.proj", "img_mlp.0"),
    (r"ff\.net\.2", "img_mlp.2"),
    (r"ff_context\.net\.0\.proj", "txt_mlp.0"),
    (r"ff_context\.net\.2", "txt_mlp.2"),
    (r"attn\.norm_added_q\.weight", "txt_attn.norm.query_norm.scale"),
    (r"attn\.norm_added_k\.weight", "txt_attn.norm.key_norm.scale"),
    (r"(double.*)attn\.norm_q\.weight", r"\1img_attn.norm.query_norm.scale"),
    (r"(double.*)attn\.norm_k\.weight", r"\1img_attn.norm.key_norm.scale"),
    (r"(single.*)attn\.norm_q\.weight", r"\1norm.query_norm.scale"),
    (r"(single.*)attn\.norm_k\.weight", r"\1norm.key_norm.scale"),
    (r"(single.*\d)\.norm\.linear", r"\1.modulation.lin"),
    (r"(single.*)proj_out", r"\1linear2"),
]
FLUX_JOINED = {
    r"transformer_blocks\.\d+\.attn\.to_q": ("to_q", ("to_q", "to_k", "to_v"), "attn.to_q", "img_attn.qkv"),
    r"transformer_blocks\.\d+\.attn\.add_q_proj": (
        "add_q_proj",
        ("add_q_proj", "add_k_proj", "add_v_proj"),
        "attn.add_q_proj",
        "txt_attn.qkv",
    ),
    r"single_transformer_blocks\.\d+\.attn\.to_q": ("to_q", ("to_q", "to_k", "to_v"), "attn.to_q", "linear1"),
}
FLUX_TAKEN = re.compile(r"attn\.(to_[kv]|add_[kv]_proj)\.|proj_mlp\.")


def original_flux(transformer, prefix):
    weights, found = transformer.state_dict(), {}
    for old, first in weights.items():
        if FLUX_TAKEN.search(old):
            continue
        name, weight = old, first
        stem, _, kind = old.rpartition(".")
        for pattern, (one, three, was, becomes) in FLUX_JOINED.items():
            if re.fullmatch(pattern, stem):
                parts = [weights[old.replace(one, each)] for each in three]
                if becomes == "linear1":
                    parts.append(weights[f"{stem.removesuffix('attn.to_q')}proj_mlp.{kind}"])
                name, weight = f"{stem.replace(was, becomes)}.{kind}", torch.cat(parts)
        if stem == "norm_out.linear":
            name, weight = f"final_layer.adaLN_modulation.1.{kind}", torch.cat(weight.chunk(2)[::-1])
        for pattern, replacement in FLUX_NAMES:
            name = re.sub(pattern, replacement, name)
        found[prefix + name] = weight.contiguous()
    return found


def one_file(family, modules):
    if family == "flux":
        t5 = {name: each for name, each in modules["text_encoder_2"].state_dict().items() if "embed_tokens" not in name}
        return {
            **original_flux(modules["transformer"], "model.diffusion_model."),
            **ldm_vae(modules["vae"], "vae."),
            **plain_clip(modules["text_encoder"], "text_encoders.clip_l.transformer."),
            **{f"text_encoders.t5xxl.transformer.{name}": each for name, each in t5.items()},
        }
    found = {**ldm_unet(modules["unet"]), **ldm_vae(modules["vae"])}
    if family == "sd15":
        return found | plain_clip(modules["text_encoder"], "cond_stage_model.transformer.")
    found |= plain_clip(modules["text_encoder"], "conditioner.embedders.0.transformer.")
    return found | open_clip(modules["text_encoder_2"], "conditioner.embedders.1.model.")


# Vocabularies, as they lie in other programs' folders.


def write_t5(folder, *, form="tokenizer.json"):
    if form == "spiece.model":
        folder.mkdir(parents=True)
        (folder / form).write_bytes(b"".join(field(1, field(1, text.encode()) + score(each)) for text, each in PIECES))
        return
    marks = [(f"<extra_id_{number}>", 0.0) for number in range(9, -1, -1)]
    T5Tokenizer(vocab=[*PIECES, *marks], extra_ids=10).save_pretrained(folder)


def field(number, content):
    return bytes([number << 3 | 2]) + bytes([len(content)]) + content


def score(value):
    return bytes([2 << 3 | 5]) + struct.pack("<f", value)


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A home with caches of its own, in which nothing was fetched."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path


@pytest.fixture
def comfy(home):
    """A ComfyUI folder with its vocabularies; where checkpoints go is returned."""
    write_tokenizer(home / "ComfyUI/comfy/sd1_tokenizer", WORDS)
    write_t5(home / "ComfyUI/comfy/text_encoders/t5_tokenizer")
    (home / "ComfyUI/models/checkpoints").mkdir(parents=True)
    return home / "ComfyUI/models"


def rows_of(home):
    return len(json.loads((home / "ComfyUI/comfy/sd1_tokenizer/vocab.json").read_text()))


def write_both(home, family, **config):
    """Write a model as a folder and as one file; return the folder and the weights of the file."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(5)
        modules = BUILD[family](rows_of(home), **config)
    for module in modules.values():
        with torch.no_grad():
            for weight in module.parameters():
                weight.mul_(2.0)  # as they are initialised, weights hardly let the picture depend on the words
    folder = home / f"{family}_folder"
    for name, module in modules.items():
        module.save_pretrained(folder / name)
    tokenizers = [name.replace("text_encoder", "tokenizer") for name in modules if name.startswith("text_encoder")]
    for name in tokenizers:
        if family == "flux" and name == "tokenizer_2":
            write_t5(folder / name)
        else:
            write_tokenizer(folder / name, WORDS)
        if family == "sdxl" and name == "tokenizer_2":
            first = next(iter(read_json(folder / name / "vocab.json")))
            for file in ("tokenizer_config.json", "special_tokens_map.json"):
                read = read_json(folder / name / file)
                (folder / name / file).write_text(json.dumps(read | {"pad_token": first}))
    (folder / "scheduler").mkdir()
    (folder / "scheduler/scheduler_config.json").write_text(json.dumps(FLOW if family == "flux" else NOISE))
    (folder / "model_index.json").write_text(json.dumps({"_class_name": PIPELINES[family]}))
    return folder, one_file(family, modules)


@pytest.fixture
def resolved(home):
    def of(source, family, *folders):
        conf = ModelConf(name="mine", family=family, source=source, recommended={}, where="conf/model/mine.yaml")
        return resolve(conf, folders, DigestCache(home / "digests.json"))

    return of


def picture(model, runtime, job_for, **fields):
    return DiffusionEngine(runtime).open(model).render([job_for(model, **fields)], lambda _: None)[0].pixels


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_a_single_file_renders_offline_what_the_same_weights_in_a_folder_do(
    comfy, home, runtime, job_for, resolved, family
):
    folder, weights = write_both(home, family)
    save_file(weights, comfy / "checkpoints/mine.safetensors")

    alone = resolved(Source(file=("mine.safetensors",)), family, comfy)
    whole = resolved(Source(folder=str(folder)), family)

    pictures = [picture(model, runtime, job_for) for model in (alone, whole)]
    # Weights lie elsewhere in the file, and sums over memory that is aligned otherwise differ in their last bit.
    assert np.abs(np.subtract(*pictures, dtype=int)).max() <= 2
    assert np.ptp(pictures[0].astype(int)) > 20
    assert not np.array_equal(pictures[0], picture(alone, runtime, job_for, prompt="a blue square"))


def test_flux_in_files_of_its_own_renders_what_the_folder_does(comfy, home, runtime, job_for, resolved):
    folder, weights = write_both(home, "flux")
    parts = {
        "transformer": ("diffusion_models/flux1-tiny", "model.diffusion_model."),
        "text_encoder": ("text_encoders/clip_l", "text_encoders.clip_l.transformer."),
        "text_encoder_2": ("clip/t5xxl_fp16", "text_encoders.t5xxl.transformer."),
        "vae": ("vae/ae", "vae."),
    }
    for file, prefix in parts.values():
        own = {name.removeprefix(prefix): each for name, each in weights.items() if name.startswith(prefix)}
        (comfy / file).parent.mkdir(exist_ok=True)
        save_file(own, comfy / f"{file}.safetensors")

    source = Source(parts={part: Path(file).name for part, (file, _) in parts.items()})
    model = resolved(source, "flux", comfy)

    whole = resolved(Source(folder=str(folder)), "flux")
    assert np.array_equal(picture(model, runtime, job_for), picture(whole, runtime, job_for))
    again = resolved(source, "flux", comfy)
    assert (again.digest, again.path) == (model.digest, model.path)
    (comfy / "vae/ae.safetensors").rename(comfy / "vae/other.safetensors")
    with pytest.raises(ModelError, match="vae 'ae' is not on this machine"):
        resolved(source, "flux", comfy)


def test_a_checkpoint_in_half_precision_is_read(comfy, home, runtime, job_for, resolved):
    _, weights = write_both(home, "sd15")
    save_file({name: each.half() for name, each in weights.items()}, comfy / "checkpoints/mine.safetensors")

    model = resolved(Source(file=("mine.safetensors",)), "sd15", comfy)

    assert np.ptp(picture(model, runtime, job_for).astype(int)) > 20


def test_the_words_may_come_from_anywhere_and_the_model_is_the_same(comfy, home, resolved):
    _, weights = write_both(home, "flux")
    file = comfy / "checkpoints/mine.safetensors"
    save_file(weights, file)
    source = Source(file=(str(file),))
    first = resolved(source, "flux")
    cached = list((home / "cache/batchgen/configurations").iterdir())
    (home / "cache").rename(home / "gone")
    (home / "ComfyUI/comfy").rename(home / "away")

    with pytest.raises(ModelError, match=r"needs CLIP's vocabulary \(\d+ tokens\).*batchgen models pull flux_schnell"):
        resolved(source, "flux")
    write_tokenizer(home / "hub/models--a--b/snapshots/1/tokenizer", WORDS)
    with pytest.raises(ModelError, match="needs T5's vocabulary"):
        resolved(source, "flux")
    write_t5(home / "hub/models--c--d/snapshots/1/tokenizer_2", form="spiece.model")

    assert resolved(source, "flux").digest == first.digest
    assert [path.name for path in (home / "cache/batchgen/configurations").iterdir()] == [cached[0].name]


def test_a_vocabulary_of_another_size_is_not_taken(comfy, home, resolved):
    _, weights = write_both(home, "sd15")
    save_file(weights, comfy / "checkpoints/mine.safetensors")
    (home / "ComfyUI/comfy").rename(home / "away")
    write_tokenizer(comfy / "checkpoints/tokenizer", [*WORDS, "heron"])

    with pytest.raises(ModelError, match="needs CLIP's vocabulary") as caught:
        resolved(Source(file=("mine.safetensors",)), "sd15", comfy)

    assert "\n" not in str(caught.value)


def test_a_file_that_says_it_predicts_velocity_is_sampled_so(comfy, home, runtime, job_for, resolved):
    _, weights = write_both(home, "sdxl")
    save_file(weights, comfy / "checkpoints/mine.safetensors")
    save_file(weights | {"v_pred": torch.zeros(0)}, comfy / "checkpoints/velocity.safetensors")

    models = [resolved(Source(file=(f"{name}.safetensors",)), "sdxl", comfy) for name in ("mine", "velocity")]

    assert not np.array_equal(*(picture(model, runtime, job_for) for model in models))


def test_an_inpainting_checkpoint_is_built_with_its_nine_channels(comfy, home, runtime, resolved):
    _, weights = write_both(home, "sd15", in_channels=9)
    save_file(weights, comfy / "checkpoints/mine.safetensors")
    model = resolved(Source(file=("mine.safetensors",)), "sd15", comfy)

    (configured,) = (home / "cache/batchgen/configurations").glob("sd15-*")

    assert read_json(configured / "unet/config.json")["in_channels"] == 9
    assert model.digest


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_a_file_with_a_weight_missing_is_refused_before_a_gigabyte_is_read(comfy, home, runtime, resolved, family):
    _, weights = write_both(home, family)
    lost = next(name for name in sorted(weights) if "middle_block.0" in name or "double_blocks.1.img_mlp.2" in name)
    save_file({name: each for name, each in weights.items() if name != lost}, comfy / "checkpoints/mine.safetensors")
    model = resolved(Source(file=("mine.safetensors",)), family, comfy)

    with pytest.raises(ModelError, match=r"holds no whole (unet|transformer): 1 weights are missing") as caught:
        DiffusionEngine(runtime).open(model)

    assert "\n" not in str(caught.value)


def test_a_weight_of_another_shape_is_refused(comfy, home, runtime, resolved):
    _, weights = write_both(home, "sd15")
    weights["model.diffusion_model.out.0.weight"] = torch.ones(33)
    save_file(weights, comfy / "checkpoints/mine.safetensors")
    model = resolved(Source(file=("mine.safetensors",)), "sd15", comfy)

    with pytest.raises(
        ModelError, match=r"its unet is not as configured: conv_norm_out\.weight is \(33,\), not \(32,\)"
    ):
        DiffusionEngine(runtime).open(model)


def test_a_cut_file_is_refused_in_a_line(comfy, home, resolved):
    _, weights = write_both(home, "sd15")
    file = comfy / "checkpoints/mine.safetensors"
    save_file(weights, file)
    os.truncate(file, file.stat().st_size - 1000)

    with pytest.raises(ModelError, match=r"is cut short: 1000 of \d+ bytes of data are missing") as caught:
        resolved(Source(file=("mine.safetensors",)), "sd15", comfy)

    assert "\n" not in str(caught.value)


KINDS = {
    "unet": UNet2DConditionModel,
    "transformer": FluxTransformer2DModel,
    "vae": AutoencoderKL,
    "text_encoder": CLIPTextModel,
}
SIZES = {
    "sd15": {"unet": 859_520_964, "vae": 83_653_863, "text_encoder": 123_060_480},
    "sdxl": {
        "unet": 2_567_463_684,
        "vae": 83_653_863,
        "text_encoder": 123_060_480,
        "text_encoder_2": 694_659_840,
    },
    "flux": {
        "transformer": 11_901_408_320,
        "vae": 83_819_683,
        "text_encoder": 123_060_480,
        "text_encoder_2": 4_762_310_656,
    },
}
"""Parameters of the released models."""


@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
def test_of_the_released_models_the_shapes_tell_what_is_carried(family):
    second = {"sdxl": CLIPTextModelWithProjection, "flux": T5EncoderModel}.get(family)
    modules = {}
    for part in SIZES[family]:
        kind, numbers = KINDS.get(part, second), carried(family, part)
        with torch.device("meta"):
            modules[part] = (
                kind.from_config(numbers) if "_class_name" in numbers else kind(kind.config_class.from_dict(numbers))
            )
    weights = one_file(family, modules)
    shapes = {name: Tensor("F16", tuple(each.shape), 2 * each.numel()) for name, each in weights.items()}

    found = configure(Header(tensors=shapes, metadata={}), family)

    assert found == {part: carried(family, part) for part in found}
    assert {part: parameters(module) for part, module in modules.items()} == SIZES[family]


def parameters(module):
    """Parameters, each weight counted once that stands under two names."""
    return sum(weight.numel() for name, weight in module.state_dict().items() if "embed_tokens" not in name)


@pytest.mark.parametrize("layout", ["ldm", "ldm in a checkpoint", "diffusers", "folder"])
@pytest.mark.parametrize("family", ["sd15", "flux"])
def test_an_autoencoder_by_itself_decodes_as_the_models_own(comfy, home, family, layout):
    folder, weights = write_both(home, family)
    path, prefix = home / "own.safetensors", "vae." if family == "flux" else "first_stage_model."
    own = {name: each for name, each in weights.items() if name.startswith(prefix)}
    if layout == "folder":
        path = folder / "vae"
    elif layout == "diffusers":
        save_file(load_file(folder / "vae/diffusion_pytorch_model.safetensors"), path)
    else:
        kept = own if "checkpoint" in layout else {name.removeprefix(prefix): each for name, each in own.items()}
        save_file(kept, path)

    loaded = load_vae(path, family, torch.float32)

    expected = AutoencoderKL.from_pretrained(folder / "vae")
    latents = torch.linspace(-2, 2, expected.config.latent_channels * 16).reshape(1, -1, 4, 4)
    with torch.no_grad():
        assert torch.equal(loaded.decode(latents).sample, expected.decode(latents).sample)
    assert loaded.config.scaling_factor == expected.config.scaling_factor


def test_an_autoencoder_of_another_family_is_refused_with_both_numbers(comfy, home):
    folder, _ = write_both(home, "flux")
    path = folder / "vae/diffusion_pytorch_model.safetensors"

    with pytest.raises(ModelError, match="is an autoencoder of 16 channels, but Stable Diffusion XL needs one of 4"):
        load_vae(path, "sdxl", torch.float32)
    with pytest.raises(ModelError, match="holds no whole vae"):
        load_vae(folder / "text_encoder/model.safetensors", "flux", torch.float32)
