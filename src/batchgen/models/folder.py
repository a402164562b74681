"""A diffusers folder: which of its files are in use.

Folders hold more than a session loads: READMEs, the same weights in other precisions and formats, a safety checker. The
digest covers what is loaded, so that a changed tokenizer renders everything anew and a changed README nothing.
"""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batchgen.errors import ModelError

INDEX = "model_index.json"
"""What makes a folder a model: the names and classes of its components."""

_UNUSED = frozenset({"safety_checker", "feature_extractor", "image_encoder"})
"""Components that no session loads."""

_WEIGHTS = re.compile(
    r"(?P<base>diffusion_pytorch_model|model)"
    r"(?:\.(?P<variant>[^.]+))?\.safetensors(?P<index>\.index(?:\.(?P<index_variant>[^.]+))?\.json)?"
)
"""`model.safetensors`, `model.fp16.safetensors`, `model.safetensors.index.json`, `model.safetensors.index.fp16.json`,
the same of `diffusion_pytorch_model`."""

_PICKLES = frozenset({".bin", ".pt", ".pth", ".ckpt"})


def read_index(folder: Path) -> dict[str, Any]:
    """Return what model_index.json says.

    Raises:
        ModelError: it is missing or no JSON object.
    """
    path = folder / INDEX
    try:
        found = json.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise ModelError(f"is no diffusers folder: it has no {INDEX}", where=str(folder)) from error
    except (OSError, ValueError, RecursionError) as error:
        raise ModelError(f"cannot be read as JSON: {error}", where=str(path)) from error
    if not isinstance(found, dict):
        raise ModelError("is no JSON object", where=str(path))
    return found


def files_in_use(folder: Path, *, weights: bool = True) -> dict[str, Path]:
    """Return every file that a session loads from `folder`, by its name relative to it (with `/`).

    Without `weights` only what describes the model: configurations, tokenizers, the scheduler.

    Raises:
        ModelError: a component, or the safetensors weights of one, are missing.
    """
    found = {INDEX: folder / INDEX}
    for component, kind in _components(folder):
        loaded = _has_weights(kind)
        files = [_needed(folder / component / "config.json")] if loaded else _texts(folder / component)
        if weights and loaded:
            files += component_weights(folder / component)[1]
        found |= {f"{component}/{file.name}": file for file in files}
    return found


def variant(folder: Path) -> str | None:
    """Return the variant (`fp16`) in which weights are there, where the plain ones are not; None if all are plain.

    Raises:
        ModelError: as `files_in_use`.
    """
    kinds = [component_weights(folder / component)[0] for component, kind in _components(folder) if _has_weights(kind)]
    return next((kind for kind in kinds if kind), None)


def _has_weights(kind: str) -> bool:
    return "Tokenizer" not in kind and "Scheduler" not in kind


def _components(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the name and class of every component that is loaded."""
    for name, entry in read_index(folder).items():
        if name.startswith("_") or name in _UNUSED or not isinstance(entry, list) or len(entry) != 2 or not entry[1]:
            continue
        if not (folder / name).is_dir():
            raise ModelError(f"is not whole: the folder {name}/ is missing", where=str(folder))
        yield name, str(entry[1])


def _needed(file: Path) -> Path:
    # In the Hugging Face cache files are links, and what a broken download leaves is a link to nothing.
    if not file.is_file():
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
        ModelError: there are none, or some are missing.
    """
    ranked = []
    for file in folder.iterdir():
        if match := _WEIGHTS.fullmatch(file.name):
            kind, several = match["variant"] or match["index_variant"] or "", match["index"] is not None
            ranked.append((kind != "", kind != "fp16", kind, several == (match["base"] == "model"), several, file))
    if not ranked:
        raise ModelError(_why_no_weights(folder), where=str(folder))
    *_, kind, _, several, file = min(ranked)
    return kind or None, _shards(file) if several else [_needed(file)]


def _why_no_weights(folder: Path) -> str:
    if any(file.suffix in _PICKLES for file in folder.iterdir()):
        return "has its weights only as a pickle, which can run code when it is loaded; get the .safetensors of it"
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
