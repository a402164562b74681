"""A diffusers folder: which of its files are in use.

Folders hold more than a session loads: READMEs, the same weights in other precisions and formats, a safety checker. The
digest covers what is loaded, so that a changed tokenizer renders everything anew and a changed README nothing.
"""

import json
import re
from pathlib import Path
from typing import Any

from batchgen.errors import ModelError
from batchgen.models.families import Family
from batchgen.models.header import CONVERT

INDEX = "model_index.json"
"""What makes a folder a model: the names and classes of its components."""

ORIGINAL = "original.safetensors"
"""In a folder that batchgen put together: weights of a component under another program's names, mostly a link."""

_ADAPTER = "adapter_config.json"
"""What a LoRA of peft is known by. transformers lays one that is there over the weights, where peft is installed."""

_WEIGHTS = re.compile(
    r"(?P<base>diffusion_pytorch_model|model)(?:\.(?P<variant>[^.]+))?\.safetensors(?P<index>\.index(?:\.(?P<index_variant>[^.]+))?\.json)?"
)
"""`model.safetensors`, `model.fp16.safetensors`, `model.safetensors.index.json`, `model.safetensors.index.fp16.json`,
the same of `diffusion_pytorch_model`: transformers reads text encoders by the first name, diffusers all else by the
second."""

_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt"})


def read_index(folder: Path) -> dict[str, Any]:
    """Return what model_index.json says.

    Raises:
        ModelError: it is missing or no JSON object.
    """
    if not (folder / INDEX).is_file():
        raise ModelError(f"is no diffusers folder: it has no {INDEX}", where=str(folder))
    return read_json(folder / INDEX)


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a model.

    Raises:
        ModelError: the file is missing or no JSON object.
    """
    try:
        found = json.loads(_needed(path).read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot be read as JSON: {error}", where=str(path)) from error
    if not isinstance(found, dict):
        raise ModelError("is no JSON object", where=str(path))
    return found


def files_in_use(folder: Path, family: Family, *, weights: bool = True) -> dict[str, Path]:
    """Return every file that a session loads from `folder`, by its name relative to it (with `/`).

    Which components those are, the family says: a session loads them by name, whatever the index lists. Without
    `weights` only what describes the model: configurations, tokenizers, the scheduler.

    Raises:
        ModelError: a component, or the safetensors weights of one, are missing; or an adapter lies beside weights.
    """
    found = [_needed(folder / INDEX)]
    for module in family.modules:
        found.append(_needed(component(folder, module) / "config.json"))
        if weights:
            found += component_weights(folder / module)[1]
    for text in family.texts:
        found += _texts(component(folder, text))
    return {file.relative_to(folder).as_posix(): file for file in found}


def component(folder: Path, name: str) -> Path:
    """Return the folder of one component.

    Raises:
        ModelError: there is none.
    """
    place = folder / name
    if not place.is_dir():
        raise ModelError(f"is not whole: the folder {name}/ is missing", where=str(folder))
    return place


def _needed(file: Path) -> Path:
    # In the Hugging Face cache files are links, and what a broken download leaves is a link to nothing.
    try:
        there = file.is_file()
    except OSError as error:  # a name that no file can have, out of a stranger's index
        raise ModelError(f"cannot be read: {error.strerror}", where=str(file)[:200]) from error
    if not there:
        raise ModelError("is missing, so the model is not whole; download it again", where=str(file))
    return file


def _texts(folder: Path) -> list[Path]:
    """Return the files of a tokenizer or scheduler; `.model` is SentencePiece's vocabulary."""
    files = [_needed(file) for file in sorted(folder.iterdir()) if file.suffix in {".json", ".txt", ".model"}]
    if not files:
        raise ModelError("is empty, so the model is not whole; download it again", where=str(folder))
    return files


def component_weights(folder: Path) -> tuple[str | None, list[Path]]:
    """Return the variant and the files of one component's weights: plain ones before fp16 before others.

    Where there are both one file and several, each library has its own mind: diffusers takes several, transformers one.

    Raises:
        ModelError: there are none, some are missing, or an adapter lies beside them.
    """
    if (folder / _ADAPTER).exists():
        text = "would be laid over the weights beside it, where peft is installed; move it and its weights away"
        raise ModelError(text, where=str(folder / _ADAPTER))
    if (folder / ORIGINAL).is_symlink():
        return None, [_needed(folder / ORIGINAL)]
    ranked = []
    base = "model" if folder.name.startswith("text_encoder") else "diffusion_pytorch_model"
    for file in folder.iterdir():
        if (match := _WEIGHTS.fullmatch(file.name)) and match["base"] == base:
            kind, several = match["variant"] or match["index_variant"] or "", match["index"] is not None
            ranked.append((kind != "", kind != "fp16", kind, several == (base == "model"), several, file))
    if not ranked:
        raise ModelError(_why_no_weights(folder), where=str(folder))
    *_, kind, _, several, file = min(ranked)
    return kind or None, _shards(file) if several else [_needed(file)]


def _why_no_weights(folder: Path) -> str:
    if any(file.suffix in _PICKLES for file in folder.iterdir()):
        return f"has its weights only as a pickle, which can run code when it is loaded; get the {CONVERT}"
    return "has no .safetensors weights, so the model is not whole; download it again"


def _shards(index: Path) -> list[Path]:
    """Return the index of weights in several files, and those files."""
    try:
        names = {str(name) for name in json.loads(_needed(index).read_bytes())["weight_map"].values()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ModelError("is no index of weights; download it again", where=str(index)) from error
    if any("/" in name or not name.endswith(".safetensors") for name in names):
        raise ModelError("names files that are no .safetensors beside it", where=str(index))
    return [index, *(_needed(index.with_name(name)) for name in sorted(names))]
