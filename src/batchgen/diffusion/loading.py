"""Weights from disk: a diffusers folder, or a single `.safetensors` file with a folder of configurations.

Nothing is fetched, nothing but safetensors is read, and no code that lies beside the weights is run.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from batchgen.errors import ModelError
from batchgen.job import Model
from batchgen.models.families import FAMILIES
from batchgen.models.find import configuration
from batchgen.models.header import read_header

_FAULTS = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)
"""What the libraries raise of files that are missing, damaged, or not what their configuration says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One component of a pipeline: a subfolder, and the class that reads it."""

    name: str
    kind: Any
    """A diffusers or transformers class with `from_pretrained`."""

    weights: bool = True
    """Has weights; a tokenizer has none."""

    dtype: torch.dtype | None = None
    """Number format, when it is another than the rest of the model has."""


def load_parts(model: Model, parts: Sequence[Part], dtype: torch.dtype) -> dict[str, Any]:
    """Load the components of `model`, on the CPU, weights in `dtype`.

    Raises:
        ModelError: a file is missing or damaged, or the model is of another family.
    """
    transformers_logging.disable_progress_bar()
    diffusers_logging.disable_progress_bar()
    path, folder = Path(model.path), _configured_by(model)
    if path == folder:
        _check_family(path, model)
        return {part.name: _load(part, path, dtype) for part in parts}
    from batchgen.diffusion import single_file  # noqa: PLC0415 - folders, the usual case, need nothing of it

    return single_file.load_parts(path, folder, parts, dtype)


def _configured_by(model: Model) -> Path:
    """Return the folder with configurations: the model itself, or the one that a single file takes them from."""
    path = Path(model.path)
    if path.is_dir():
        return path
    if path.suffix != ".safetensors":
        raise ModelError("is neither a diffusers folder nor a .safetensors file", where=str(path))
    read_header(path)
    return configuration(path, model.family)


def scheduler_config(model: Model) -> Mapping[str, Any]:
    """Return the checkpoint's own scheduler configuration, as it was saved with the weights.

    Raises:
        ModelError: it is missing or damaged.
    """
    return read_json(_configured_by(model) / "scheduler" / "scheduler_config.json")


def read_json(path: Path) -> dict[str, Any]:
    """Return the object in a JSON file of a model.

    Raises:
        ModelError: the file is missing or damaged.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelError("is missing", where=str(path)) from error
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot be read: {error}", where=str(path)) from error
    if not isinstance(content, dict):
        raise ModelError("is damaged: an object in braces was expected", where=str(path))
    return content


def _check_family(folder: Path, model: Model) -> None:
    family = FAMILIES[model.family]
    index = folder / "model_index.json"
    found = read_json(index).get("_class_name")
    if found not in family.pipelines:
        right = " or ".join(family.pipelines)
        raise ModelError(f"holds a {found}, but family {family.name} needs a {right}", where=str(index))


def _load(part: Part, folder: Path, dtype: torch.dtype) -> Any:
    place = folder / part.name
    if not place.is_dir():
        raise ModelError(f"has no {part.name}/", where=str(folder))
    if not part.weights:
        return _tokenizer(part, place)
    _check_class(part, place / "config.json")
    names = _weight_files(place)
    options = {"variant": _variant(names)} if _variant(names) else {}
    try:
        loaded, info = part.kind.from_pretrained(
            str(place),
            dtype=part.dtype or dtype,
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **options,
        )
    except _FAULTS as error:
        raise ModelError(f"cannot be loaded: {_one_line(error)}", where=str(place)) from error
    check_complete(info["missing_keys"], info["mismatched_keys"], place)
    return loaded.eval()


def check_complete(missing: Sequence[str], mismatched: Sequence[Any], place: Path) -> None:
    """Refuse weights that left a part of the model as it was initialised: it would draw noise and say nothing.

    Raises:
        ModelError: naming the first weight.
    """
    if missing:
        raise ModelError(f"{len(missing)} weights are missing, {min(missing)} for one", where=str(place))
    if mismatched:
        raise ModelError(f"{len(mismatched)} weights are of another shape than config.json says", where=str(place))


def check_channels(model: Model, takes: int, autoencoder: Any) -> None:
    """Refuse a denoiser that takes more than a latent image: it is made for inpainting, or for a picture to follow.

    Raises:
        ModelError: saying how many channels it takes.
    """
    has = autoencoder.config.latent_channels
    if takes != has:
        text = f"its denoiser takes {takes} channels, a latent image has {has}: a model for inpainting or editing?"
        raise ModelError(text, where=model.path)


def _tokenizer(part: Part, place: Path) -> Any:
    try:
        return part.kind.from_pretrained(str(place), local_files_only=True)
    # The tokenizers library raises bare Exception.
    except Exception as error:
        raise ModelError(f"cannot be read as a tokenizer: {_one_line(error)}", where=str(place)) from error


def _check_class(part: Part, config: Path) -> None:
    content = read_json(config)
    found = content.get("_class_name") or next(iter(content.get("architectures") or ()), None)
    if found is not None and found != part.kind.__name__:
        raise ModelError(f"describes a {found}, but a {part.kind.__name__} is needed here", where=str(config))


def _weight_files(place: Path) -> list[str]:
    """Return the names of the weight files, each checked to be whole."""
    files = sorted(place.glob("*.safetensors"))
    if not files:
        others = [path.name for path in place.glob("*.bin")]
        hint = f" ({others[0]} may run code when loaded; it is not read)" if others else ""
        raise ModelError(f"holds no .safetensors file{hint}", where=str(place))
    for path in files:
        read_header(path)
    return [path.name for path in files]


def _variant(names: Sequence[str]) -> str | None:
    """Return "fp16" if the weights are there in that variant only, as `model.fp16.safetensors`."""
    return "fp16" if all(".fp16" in name for name in names) else None


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
