"""Weights from disk: a diffusers folder, or files under other programs' names with a folder of configurations.

Nothing is fetched, nothing but safetensors is read, and no code that lies beside the weights is run.
"""

from base64 import b64decode
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.utils import logging as diffusers_logging
from safetensors import SafetensorError
from transformers.utils import logging as transformers_logging

from batchgen.diffusion import single_file
from batchgen.diffusion.component import Part
from batchgen.errors import ModelError
from batchgen.job import Model
from batchgen.models.components import carried, vae_numbers
from batchgen.models.configuration import configuration
from batchgen.models.families import FAMILIES
from batchgen.models.folder import INDEX, ORIGINAL, component, component_weights, read_index, read_json
from batchgen.models.header import Header, read_header
from batchgen.models.recognise import VAE_PREFIXES
from batchgen.models.training import SCHEDULER
from batchgen.models.vocabulary import read_sentencepiece

_FAULTS = (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError)
"""What the libraries raise of files that are missing, damaged, or not what their configuration says."""


def load_parts(model: Model, parts: Sequence[Part], dtype: torch.dtype) -> dict[str, Any]:
    """Load the components of `model`, on the CPU, weights in `dtype`.

    Raises:
        ModelError: a file is missing or damaged, or the model is of another family.
    """
    path, folder = _opened(model)
    return {part.name: _one_part(part, path, folder, model.family, dtype) for part in parts}


def outline_parts(model: Model, parts: Sequence[Part]) -> dict[str, Any]:
    """Return the components of `model` without the data of their weights: a gigabyte takes no longer than a page.

    What `load_parts` would find missing, or of another shape or kind, is found here.

    Raises:
        ModelError: as `load_parts`.
    """
    path, folder = _opened(model)
    return {part.name: _one_part(part, path, folder, model.family, None) for part in parts}


def load_vae(path: Path, family: str, dtype: torch.dtype) -> Any:
    """Load the autoencoder that lies by itself at `path`, a `.safetensors` file or a diffusers folder of it alone.

    Raises:
        ModelError: it is no autoencoder, not whole, or has another number of channels than those of the family.
    """
    part = Part(name="vae", kind=AutoencoderKL)
    if path.is_dir():
        loaded = _load_folder(part, path, dtype)
    else:
        loaded = single_file.build(part, vae_numbers(path, family), path, (*VAE_PREFIXES, ""), dtype)
    has, needed = loaded.config.latent_channels, carried(family, "vae")["latent_channels"]
    if has != needed:
        title = FAMILIES[family].title
        raise ModelError(f"is an autoencoder of {has} channels, but {title} needs one of {needed}", where=str(path))
    return loaded


def _one_part(part: Part, path: Path, folder: Path, family: str, dtype: torch.dtype | None) -> Any:
    """Load a component, with weights in `dtype`; None leaves the weights' data on disk."""
    place = component(folder, part.name)
    if not part.weights:
        return tokenizer(part, place)
    own = place / ORIGINAL
    if path == folder and not own.exists():
        return _load_folder(part, place, dtype)
    return single_file.load_part(part, own if path == folder else path, folder, family, dtype)


def _opened(model: Model) -> tuple[Path, Path]:
    """Return where weights and where configurations are, once the libraries are quiet and the family is right."""
    transformers_logging.disable_progress_bar()
    diffusers_logging.disable_progress_bar()
    path, folder = Path(model.path), _configured_by(model)
    if path == folder:
        _check_family(path, model)
    return path, folder


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
    return read_json(_configured_by(model) / SCHEDULER)


def _check_family(folder: Path, model: Model) -> None:
    family = FAMILIES[model.family]
    found = read_index(folder).get("_class_name")
    if found not in family.pipelines:
        right = " or ".join(family.pipelines)
        raise ModelError(f"holds a {found}, but family {family.name} needs a {right}", where=str(folder / INDEX))


def _load_folder(part: Part, place: Path, dtype: torch.dtype | None) -> Any:
    """Load a component out of a folder that diffusers or transformers wrote."""
    _check_class(part, place / "config.json")
    variant, files = component_weights(place)
    headers = [read_header(file) for file in files if file.suffix == ".safetensors"]
    # In the format of the file, nothing is read to be converted.
    options = {"device_map": "meta", "dtype": _format(headers)} if dtype is None else {"dtype": part.dtype or dtype}
    try:
        loaded, info = part.kind.from_pretrained(
            str(place),
            local_files_only=True,
            use_safetensors=True,
            output_loading_info=True,
            **options,
            **({"variant": variant} if variant else {}),
        )
    except _FAULTS as error:
        raise ModelError(f"cannot be loaded: {_one_line(error)}", where=str(place)) from error
    check_complete(info["missing_keys"], info["mismatched_keys"], place)
    return loaded.eval()


def _format(headers: Sequence[Header]) -> torch.dtype:
    """Return the number format that most weights are stored in."""
    stored = Counter(tensor.dtype for header in headers for tensor in header.tensors.values())
    formats = {"F16": torch.float16, "BF16": torch.bfloat16}
    return formats.get(max(stored, key=stored.__getitem__, default=""), torch.float32)


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
    """Refuse a denoiser that takes more than a latent image, and for inpainting mask and masked picture with it.

    Raises:
        ModelError: saying how many channels it takes.
    """
    has = autoencoder.config.latent_channels
    if takes not in (has, 2 * has + 1):
        text = f"its denoiser takes {takes} channels, a latent image has {has}: a model for editing?"
        raise ModelError(text, where=model.path)


def tokenizer(part: Part, place: Path) -> Any:
    """Return the tokenizer in the folder `place`.

    Raises:
        ModelError: it cannot be read.
    """
    try:
        if (place / "spiece.model").is_file() and not (place / "tokenizer.json").is_file():
            return _of_pieces(part, place)
        return part.kind.from_pretrained(str(place), local_files_only=True)
    # The tokenizers library raises bare Exception.
    except Exception as error:
        raise ModelError(f"cannot be read as a tokenizer: {_one_line(error)}", where=str(place)) from error


def _of_pieces(part: Part, place: Path) -> Any:
    """Return the tokenizer of a folder with a SentencePiece model alone, such as CogVideoX's.

    transformers would need the SentencePiece library for it.
    """
    pieces, charsmap = read_sentencepiece((place / "spiece.model").read_bytes())
    return part.kind(vocab=pieces, _spm_precompiled_charsmap=b64decode(charsmap) or None, extra_ids=0)


def _check_class(part: Part, config: Path) -> None:
    content = read_json(config)
    found = content.get("_class_name") or next(iter(content.get("architectures") or ()), None)
    if found is not None and found != part.kind.__name__:
        raise ModelError(f"describes a {found}, but a {part.kind.__name__} is needed here", where=str(config))


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
