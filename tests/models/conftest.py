"""Small models on disk: real safetensors files in the folders and layouts that people have."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from batchgen.models.families import FAMILIES

Shapes = Mapping[str, tuple[int, ...]]

WHOLE_SD15: Shapes = {
    "first_stage_model.decoder.conv_in.weight": (2, 2),
    "cond_stage_model.transformer.text_model.embeddings.position_ids": (1, 77),
    "model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight": (4, 768),
}
WHOLE_SDXL: Shapes = {
    "first_stage_model.decoder.conv_in.weight": (2, 2),
    "conditioner.embedders.1.model.text_projection": (2, 2),
    "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight": (4, 2048),
}
WHOLE_FLUX: Shapes = {"vae.decoder.conv_in.weight": (2, 2), "double_blocks.0.img_attn.qkv.weight": (2, 2)}


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
