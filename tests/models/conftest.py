"""Small models on disk: real safetensors files in the folders and layouts that people have."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from batchgen.models.families import FAMILIES

Shapes = Mapping[str, tuple[int, ...]]

AUTOENCODER: Shapes = {
    "encoder.down.0.block.0.conv2.weight": (32, 32, 3, 3),
    "encoder.down.1.block.0.conv2.weight": (64, 64, 3, 3),
    "decoder.conv_in.weight": (64, 4, 3, 3),
    "quant_conv.weight": (8, 8, 1, 1),
    "post_quant_conv.weight": (4, 4, 1, 1),
}
CLIP: Shapes = {
    "text_model.embeddings.token_embedding.weight": (516, 64),
    "text_model.embeddings.position_embedding.weight": (77, 64),
    "text_model.encoder.layers.0.mlp.fc1.weight": (128, 64),
}
OPEN_CLIP: Shapes = {
    "token_embedding.weight": (516, 128),
    "positional_embedding": (77, 128),
    "transformer.resblocks.0.mlp.c_fc.weight": (256, 128),
    "text_projection": (128, 128),
}
T5: Shapes = {
    "shared.weight": (128, 32),
    "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 4),
    "encoder.block.0.layer.0.SelfAttention.q.weight": (32, 32),
    "encoder.block.0.layer.1.DenseReluDense.wi_0.weight": (48, 32),
}
FLUX: Shapes = {
    "img_in.weight": (64, 64),
    "txt_in.weight": (64, 32),
    "vector_in.in_layer.weight": (64, 64),
    "guidance_in.in_layer.weight": (64, 256),
    "double_blocks.0.img_attn.qkv.weight": (192, 64),
    "double_blocks.0.img_attn.norm.query_norm.scale": (32,),
    "single_blocks.0.linear1.weight": (448, 64),
}


def unet(context: int) -> Shapes:
    """A UNet of two levels in the names of Stable Diffusion's original code, of the tensors that tell how it is."""
    return {
        "input_blocks.0.0.weight": (32, 4, 3, 3),
        "input_blocks.1.0.in_layers.2.weight": (32, 32, 3, 3),
        "input_blocks.2.0.op.weight": (32, 32, 3, 3),
        "input_blocks.3.0.in_layers.2.weight": (64, 32, 3, 3),
        "input_blocks.3.1.proj_in.weight": (64, 64),
        "input_blocks.3.1.transformer_blocks.0.attn2.to_k.weight": (64, context),
        "middle_block.1.transformer_blocks.0.attn2.to_k.weight": (64, context),
        "middle_block.2.in_layers.0.weight": (64,),
        "out.2.weight": (4, 32, 3, 3),
    }


def under(prefix: str, shapes: Shapes) -> Shapes:
    return {prefix + name: shape for name, shape in shapes.items()}


WHOLE_SD15: Shapes = {
    **under("model.diffusion_model.", unet(768)),
    **under("first_stage_model.", AUTOENCODER),
    **under("cond_stage_model.transformer.", CLIP),
}
WHOLE_SDXL: Shapes = {
    **under("model.diffusion_model.", {**unet(192), "label_emb.0.0.weight": (128, 176)}),
    **under("first_stage_model.", AUTOENCODER),
    **under("conditioner.embedders.0.transformer.", CLIP),
    **under("conditioner.embedders.1.model.", OPEN_CLIP),
}
WHOLE_FLUX: Shapes = {
    **under("model.diffusion_model.", FLUX),
    **under("vae.", AUTOENCODER),
    **under("text_encoders.clip_l.transformer.", CLIP),
    **under("text_encoders.t5xxl.transformer.", T5),
}


def write_weights(path: Path, shapes: Shapes | None = None, *, value: float = 1.0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file({name: np.full(shape, value, np.float16) for name, shape in (shapes or {"w": (4, 4)}).items()}, path)
    return path


def write_folder(folder: Path, pipeline: str = "StableDiffusionPipeline") -> Path:
    """Write a diffusers folder with what a session loads, and much that it does not."""
    family = next((family for family in FAMILIES.values() if pipeline in family.pipelines), FAMILIES["sd15"])
    components = {
        **{name: ["diffusers", "AClass"] for name in (*family.modules, *family.texts)},
        "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"],
        "feature_extractor": [None, None],
    }
    folder.mkdir(parents=True)
    index = {"_class_name": pipeline, "_diffusers_version": "0.42.1", "requires_safety_checker": True, **components}
    (folder / "model_index.json").write_text(json.dumps(index))
    for name in family.modules:
        base = "model" if name.startswith("text_encoder") else "diffusion_pytorch_model"
        write_weights(folder / name / f"{base}.safetensors")
        (folder / name / "config.json").write_text("{}")
    for name in family.texts:
        for file in ("scheduler_config.json",) if name == "scheduler" else ("vocab.json", "merges.txt"):
            (folder / name).mkdir(exist_ok=True)
            (folder / name / file).write_text("{}")
    (folder / "README.md").write_text("hello")
    (folder / family.modules[0] / "diffusion_pytorch_model.bin").write_bytes(b"unused")
    write_weights(folder / family.modules[0] / "diffusion_pytorch_model.fp16.safetensors")
    write_weights(folder / "safety_checker" / "model.safetensors")
    return folder


def write_snapshot(cache: Path, hub_id: str, revision: str = "main", commit: str = "c0ffee") -> Path:
    """Write a model into a Hugging Face cache, its files links to blobs as they are there."""
    repository = cache / f"models--{hub_id.replace('/', '--')}"
    plain = write_folder(repository / "plain")
    snapshot = repository / "snapshots" / commit
    for number, file in enumerate(sorted(path for path in plain.rglob("*") if path.is_file())):
        blob, link = repository / "blobs" / str(number), snapshot / file.relative_to(plain)
        blob.parent.mkdir(exist_ok=True)
        link.parent.mkdir(parents=True, exist_ok=True)
        file.rename(blob)
        link.symlink_to(blob)
    (repository / "refs" / revision).parent.mkdir(parents=True, exist_ok=True)
    (repository / "refs" / revision).write_text(commit)
    return snapshot


@pytest.fixture
def cast() -> Mapping[str, Shapes]:
    """Tensors of single components, by name; `unet` is Stable Diffusion 1.5's."""
    return {"vae": AUTOENCODER, "clip": CLIP, "open_clip": OPEN_CLIP, "t5": T5, "flux": FLUX, "unet": unet(768)}


def write_vocabularies(folder: Path) -> None:
    """Write CLIP's and T5's vocabularies in small: as many words as `CLIP` and `T5` have rows."""
    single = [chr(256 + byte) for byte in range(256)]
    words = [
        *single,
        *(character + "</w>" for character in single),
        "ab",
        "abc</w>",
        "<|startoftext|>",
        "<|endoftext|>",
    ]
    (folder / "tokenizer").mkdir(parents=True)
    (folder / "tokenizer/vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "tokenizer/merges.txt").write_text("#version: 0.2\na b\nab c</w>\n")
    pieces = [["<pad>", 0.0], ["</s>", 0.0], ["<unk>", 0.0], *([chr(code), -1.5] for code in range(33, 127))]
    (folder / "tokenizer_2").mkdir()
    (folder / "tokenizer_2/tokenizer.json").write_text(json.dumps({"model": {"type": "Unigram", "vocab": pieces}}))


@pytest.fixture
def make_vocabularies() -> Callable[[Path], None]:
    return write_vocabularies


@pytest.fixture
def make_weights() -> Callable[..., Path]:
    return write_weights


@pytest.fixture
def make_folder() -> Callable[..., Path]:
    return write_folder


@pytest.fixture
def model_folder(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "tiny")


@pytest.fixture
def whole() -> Mapping[str, Shapes]:
    """Tensors of single-file checkpoints, by family."""
    return {"sd15": WHOLE_SD15, "sdxl": WHOLE_SDXL, "flux": WHOLE_FLUX}


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """An empty Hugging Face cache; calling it puts a model there."""
    cache = tmp_path / "hub"
    monkeypatch.setenv("HF_HUB_CACHE", str(cache))
    return lambda *words: write_snapshot(cache, *words)
