"""Tiny models with random weights, one of each family, written to disk in diffusers' own format."""

import json
from functools import partial
from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.autoencoders.autoencoder_kl_cogvideox import AutoencoderKLCogVideoX
from diffusers.models.autoencoders.autoencoder_kl_ltx import AutoencoderKLLTXVideo
from diffusers.models.autoencoders.autoencoder_kl_wan import AutoencoderKLWan
from diffusers.models.transformers.cogvideox_transformer_3d import CogVideoXTransformer3DModel
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.transformers.transformer_ltx import LTXVideoTransformer3DModel
from diffusers.models.transformers.transformer_wan import WanTransformer3DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    T5Config,
    T5EncoderModel,
    T5Tokenizer,
    UMT5Config,
    UMT5EncoderModel,
)

from batchgen.demo.tokenizer import write_tokenizer
from batchgen.engine import Runtime
from batchgen.job import Job, Model, make_job

WORDS = ["a", "red", "blue", "green", "circle", "square", "on", "background", ",", "cat", "dog"]

NEUTRAL = {
    "prompt": "a red circle",
    "width": 32,
    "height": 32,
    "sampler": "euler",
    "schedule": "simple",
    "steps": 3,
    "guidance_scale": 4.0,
    "seed": 7,
}


@pytest.fixture(scope="session")
def job_for():
    """Return a job for a model, with these fields of its recipe set."""

    def of(model: Model, **fields) -> Job:
        return make_job(model, NEUTRAL | fields)

    return of


def _clip(folder: Path, kind, pad: str, **config) -> None:
    number = folder.name.removeprefix("text_encoder")
    tokenizer = folder.parent / f"tokenizer{number}"
    write_tokenizer(tokenizer, WORDS)
    vocabulary = json.loads((tokenizer / "vocab.json").read_text())
    _use_pad(tokenizer, pad)
    settings = CLIPTextConfig(
        vocab_size=len(vocabulary),
        num_attention_heads=2,
        bos_token_id=vocabulary["<|startoftext|>"],
        eos_token_id=vocabulary["<|endoftext|>"],
        pad_token_id=vocabulary[pad],
        **config,
    )
    _lively(kind(settings)).save_pretrained(folder)


def _use_pad(tokenizer: Path, pad: str) -> None:
    for name in ("tokenizer_config.json", "special_tokens_map.json"):
        settings = json.loads((tokenizer / name).read_text())
        (tokenizer / name).write_text(json.dumps(settings | {"pad_token": pad}))


def _lively(module):
    """Weights as they are initialised hardly tell words apart, nor let a picture depend on them; these do."""
    with torch.no_grad():
        for name, weight in module.named_parameters():
            if any(part in name for part in ("embedding", "shared", "attn2.to", "context_embedder")):
                weight.mul_(20 if weight.std() < 0.1 else 6)
    return module


def _vae(folder: Path, channels: int, **config) -> None:
    AutoencoderKL(
        block_out_channels=(8, 8, 8, 8),
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        latent_channels=channels,
        norm_num_groups=2,
        **config,
    ).save_pretrained(folder)


def _unet(folder: Path, **config) -> None:
    unet = UNet2DConditionModel(
        sample_size=8,
        block_out_channels=(8, 16),
        layers_per_block=1,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        norm_num_groups=2,
        attention_head_dim=2,
        **config,
    )
    _lively(unet).save_pretrained(folder)


def _index(folder: Path, pipeline: str, scheduler: str, parts: dict, config: dict) -> None:
    (folder / "model_index.json").write_text(
        json.dumps({"_class_name": pipeline, "_diffusers_version": "0.42.1"} | parts)
    )
    (folder / "scheduler").mkdir()
    content = {"_class_name": scheduler, "_diffusers_version": "0.42.1"} | config
    (folder / "scheduler" / "scheduler_config.json").write_text(json.dumps(content))


SD_NOISE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "epsilon",
    "timestep_spacing": "trailing",
    "steps_offset": 1,
}


def build_sd15(folder: Path, **unet) -> None:
    _clip(
        folder / "text_encoder",
        CLIPTextModel,
        "<|endoftext|>",
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=3,
    )
    _unet(folder / "unet", cross_attention_dim=16, **unet)
    _vae(folder / "vae", 4)
    parts = {
        "text_encoder": ["transformers", "CLIPTextModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "safety_checker": [None, None],
        "feature_extractor": [None, None],
    }
    _index(folder, "StableDiffusionPipeline", "EulerDiscreteScheduler", parts, SD_NOISE)


def build_sdxl(folder: Path) -> None:
    small = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 3}
    wide = {"hidden_size": 24, "intermediate_size": 32, "num_hidden_layers": 3, "projection_dim": 12}
    _clip(folder / "text_encoder", CLIPTextModel, "<|endoftext|>", **small)
    _clip(folder / "text_encoder_2", CLIPTextModelWithProjection, "!", **wide)
    _unet(
        folder / "unet",
        cross_attention_dim=40,
        addition_embed_type="text_time",
        addition_time_embed_dim=4,
        projection_class_embeddings_input_dim=12 + 6 * 4,
    )
    _vae(folder / "vae", 4, scaling_factor=0.13025, force_upcast=True)
    parts = {
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "CLIPTextModelWithProjection"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "CLIPTokenizer"],
        "unet": ["diffusers", "UNet2DConditionModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "EulerDiscreteScheduler"],
        "force_zeros_for_empty_prompt": False,
    }
    _index(folder, "StableDiffusionXLPipeline", "EulerDiscreteScheduler", parts, SD_NOISE)


def build_flux(folder: Path, *, guidance: bool = True) -> None:
    config = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2}
    _clip(folder / "text_encoder", CLIPTextModel, "<|endoftext|>", **config)
    pieces = [(f"▁{word}", -1.0) for word in WORDS] + [(chr(code), -6.0) for code in range(33, 127)]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    T5Tokenizer(vocab=[*special, *pieces], extra_ids=0).save_pretrained(folder / "tokenizer_2")
    settings = T5Config(vocab_size=128, d_model=20, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    _lively(T5EncoderModel(settings)).save_pretrained(folder / "text_encoder_2")
    transformer = FluxTransformer2DModel(
        in_channels=16,
        num_layers=1,
        num_single_layers=1,
        attention_head_dim=8,
        num_attention_heads=2,
        joint_attention_dim=20,
        pooled_projection_dim=16,
        guidance_embeds=guidance,
        axes_dims_rope=(2, 2, 4),
    )
    _lively(transformer).save_pretrained(folder / "transformer")
    _vae(folder / "vae", 4, scaling_factor=0.3611, shift_factor=0.1159, use_quant_conv=False, use_post_quant_conv=False)
    parts = {
        "text_encoder": ["transformers", "CLIPTextModel"],
        "text_encoder_2": ["transformers", "T5EncoderModel"],
        "tokenizer": ["transformers", "CLIPTokenizer"],
        "tokenizer_2": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", "FluxTransformer2DModel"],
        "vae": ["diffusers", "AutoencoderKL"],
        "scheduler": ["diffusers", "FlowMatchEulerDiscreteScheduler"],
    }
    flow = {
        "base_image_seq_len": 256,
        "base_shift": 0.5,
        "max_image_seq_len": 4096,
        "max_shift": 1.15,
        "num_train_timesteps": 1000,
        "shift": 3.0,
        "use_dynamic_shifting": True,
    }
    _index(folder, "FluxPipeline", "FlowMatchEulerDiscreteScheduler", parts, flow)


def _t5(folder: Path, *, kind=T5EncoderModel, config=T5Config) -> None:
    """Write a reader of texts and, beside it, its vocabulary."""
    pieces = [(f"▁{word}", -1.0) for word in WORDS] + [(chr(code), -6.0) for code in range(33, 127)]
    special = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0)]
    T5Tokenizer(vocab=[*special, *pieces], extra_ids=0).save_pretrained(folder / "tokenizer")
    settings = config(vocab_size=128, d_model=20, d_kv=8, d_ff=32, num_layers=2, num_heads=2)
    _lively(kind(settings)).save_pretrained(folder / "text_encoder")


def _clips(folder: Path, pipeline: str, transformer, vae, scheduler: str, config: dict) -> None:
    _lively(transformer).save_pretrained(folder / "transformer")
    vae.save_pretrained(folder / "vae")
    reader = "UMT5EncoderModel" if pipeline.startswith("Wan") else "T5EncoderModel"
    parts = {
        "text_encoder": ["transformers", reader],
        "tokenizer": ["transformers", "T5Tokenizer"],
        "transformer": ["diffusers", type(transformer).__name__],
        "vae": ["diffusers", type(vae).__name__],
        "scheduler": ["diffusers", scheduler],
    }
    _index(folder, pipeline, scheduler, parts, config)


COGVIDEOX_NOISE = {
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
    "num_train_timesteps": 1000,
    "prediction_type": "v_prediction",
    "rescale_betas_zero_snr": True,
    "snr_shift_scale": 3.0,
    "timestep_spacing": "leading",
    "set_alpha_to_one": True,
}


def build_cogvideox(folder: Path, *, animates: bool = False, tiles: tuple[int, int] = (32, 32), **config) -> None:
    _t5(folder)
    vae = AutoencoderKLCogVideoX(
        block_out_channels=(4, 4, 8, 8),
        latent_channels=4,
        layers_per_block=1,
        norm_num_groups=2,
        sample_height=tiles[0],
        sample_width=tiles[1],
        scaling_factor=0.7,
        invert_scale_latents="ofs_embed_dim" in config,
    )
    with torch.no_grad():  # next to no spread, so that what the pipeline draws from it is its mode
        vae.encoder.conv_out.conv.weight[4:] = 0
        vae.encoder.conv_out.conv.bias[4:] = -30
    transformer = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8 if animates else 4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=20,
        num_layers=2,
        sample_width=6,
        sample_height=4,
        sample_frames=9,
        max_text_seq_length=16,
        **config,
    )
    pipeline = "CogVideoXImageToVideoPipeline" if animates else "CogVideoXPipeline"
    _clips(folder, pipeline, transformer, vae, "CogVideoXDDIMScheduler", COGVIDEOX_NOISE)


def build_wan(folder: Path, **config) -> None:
    _t5(folder, kind=UMT5EncoderModel, config=UMT5Config)
    transformer = WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=20,
        freq_dim=16,
        ffn_dim=32,
        num_layers=2,
        rope_max_seq_len=32,
    )
    vae = AutoencoderKLWan(
        base_dim=3,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        latents_mean=[0.1, -0.2, 0.3, 0.0],
        latents_std=[1.1, 0.9, 1.2, 1.0],
        **config,
    )
    with torch.no_grad():  # or words and steps would hardly be seen
        for weight in (*transformer.condition_embedder.text_embedder.parameters(), *vae.decoder.conv_out.parameters()):
            weight.mul_(6)
    noise = {"prediction_type": "flow_prediction", "use_flow_sigmas": True, "flow_shift": 3.0}
    _clips(folder, "WanPipeline", transformer, vae, "UniPCMultistepScheduler", noise)


def build_ltx(folder: Path, **config) -> None:
    _t5(folder)
    transformer = LTXVideoTransformer3DModel(
        in_channels=8,
        out_channels=8,
        num_attention_heads=2,
        attention_head_dim=12,
        cross_attention_dim=24,
        num_layers=2,
        caption_channels=20,
    )
    vae = AutoencoderKLLTXVideo(
        latent_channels=8,
        block_out_channels=(8, 8, 8, 8),
        decoder_block_out_channels=(8, 8, 8, 8),
        layers_per_block=(1, 1, 1, 1, 1),
        decoder_layers_per_block=(1, 1, 1, 1, 1),
        **config,
    )
    vae.latents_mean.copy_(torch.linspace(-0.3, 0.3, 8))
    vae.latents_std.copy_(torch.linspace(0.8, 1.2, 8))
    noise = {
        "base_image_seq_len": 1024,
        "base_shift": 0.95,
        "max_image_seq_len": 4096,
        "max_shift": 2.05,
        "shift_terminal": 0.1,
        "use_dynamic_shifting": True,
    }
    _clips(folder, "LTXPipeline", transformer, vae, "FlowMatchEulerDiscreteScheduler", noise)


BUILD = {
    "sd15": build_sd15,
    "sdxl": build_sdxl,
    "flux": build_flux,
    "cogvideox": build_cogvideox,
    "cogvideox_i2v": partial(build_cogvideox, animates=True),
    "wan": build_wan,
    "ltx": build_ltx,
}


def _write_model(folder: Path, family: str, **options) -> Model:
    """Write a tiny model; the libraries draw its weights from the global generator, which is put back."""
    folder.mkdir(parents=True, exist_ok=True)
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(3)
        BUILD[family](folder, **options)
    return Model(digest="0" * 64, family=family, name=f"tiny_{family}", path=str(folder))


@pytest.fixture(scope="session")
def write_model():
    """Return how to write a tiny model into a folder, for tests that change its files."""
    return _write_model


@pytest.fixture(scope="session")
def tiny(tmp_path_factory):
    """Return a model of a family; each is written once for all tests, which leave it as it is."""
    written: dict[str, Model] = {}

    def of(family: str) -> Model:
        if family not in written:
            written[family] = _write_model(tmp_path_factory.mktemp(family), family)
        return written[family]

    return of


@pytest.fixture(scope="session")
def runtime() -> Runtime:
    return Runtime(device="cpu", threads=1)
