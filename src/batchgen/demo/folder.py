"""Writes a model folder of diffusers, the large parts in half precision."""

import json
from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

import torch


def write_folder(
    folder: Path, index: Mapping[str, Any], *, halves: Mapping[str, Any], text_encoder: Any, scheduler: Any
) -> None:
    """Write every part but the tokenizer.

    Args:
        folder: The model folder.
        index: The content of its model_index.json.
        halves: Parts that are written in float16, which halves the folder.
        text_encoder: Written as it is. A folder of float16 alone, loaded without a dtype, would leave it in float16 and
            turn the rest to float32, which then do not multiply.
        scheduler: Its configuration is written.
    """
    scheduler.save_pretrained(folder / "scheduler")
    for name, part in halves.items():
        half = deepcopy(part)
        for parameter in half.parameters():
            parameter.data = parameter.data.to(torch.float16).contiguous()
        half.save_pretrained(folder / name)
        _forget(folder / name / "config.json", "_name_or_path")
    text_encoder.save_pretrained(folder / "text_encoder")
    (folder / "model_index.json").write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    for weights in folder.rglob("*.safetensors"):
        weights.chmod(0o644)  # safetensors writes for its owner alone


def _forget(path: Path, key: str) -> None:
    """Remove where the weights came from: a path of the machine that trained them."""
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings.pop(key, None)
    path.write_text(json.dumps(settings, indent=2, sort_keys=True) + "\n", encoding="utf-8")
