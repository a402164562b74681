"""A model whose components lie in files of their own, as ComfyUI keeps FLUX.1: put together as one diffusers folder.

The folder has configurations, tokenizers, and a link to each file; no weights are copied.
"""

import hashlib
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from batchgen.errors import ModelError, unknown_name
from batchgen.models.components import PREFIXES, Numbers, below, completed, configure_component
from batchgen.models.configuration import assembled, own_cache
from batchgen.models.folder import INDEX, ORIGINAL
from batchgen.models.header import Header, read_header
from batchgen.models.recognise import recognise
from batchgen.models.shelf import Shelf

_DENOISERS = {"unet", "transformer"}


def gather(parts: Mapping[str, str], folders: Sequence[Path], where: str | None = None) -> Path:
    """Return the folder in which the files of `parts` stand for one model.

    Raises:
        ModelError: a component is missing, unknown, or not what it is called.
    """
    files = {part: _find(part, name, folders, where) for part, name in parts.items()}
    headers = {part: read_header(file) for part, file in files.items()}
    family = _family(headers, where)
    wanted = PREFIXES[family]
    for part in parts:
        if part not in wanted:
            raise ModelError(unknown_name("component", part, wanted), where=where)
    if missing := [part for part in wanted if part not in parts]:
        raise ModelError(f"source.parts: {', '.join(missing)} is missing", where=where)
    numbers = {part: _configured(headers[part], family, part, files[part]) for part in wanted}
    denoiser = next(part for part in wanted if part in _DENOISERS)
    whole = completed(numbers, headers[denoiser], family)
    return _linked(assembled(whole, family, files[denoiser], folders), files)


def _find(part: str, name: str, folders: Sequence[Path], where: str | None) -> Path:
    kind = "diffusion_model" if part in _DENOISERS else "vae" if part == "vae" else "text_encoder"
    return Shelf(folders).find(kind, name, where).absolute()


def _family(headers: Mapping[str, Header], where: str | None) -> str:
    denoiser = next((header for part, header in headers.items() if part in _DENOISERS), None)
    if denoiser is None:
        raise ModelError("source.parts: the denoiser is missing: transformer of FLUX.1, unet of others", where=where)
    found = recognise(denoiser)
    if found.family is None or found.refused:
        raise ModelError(f"source.parts: the denoiser {found.refused or 'is of no family known here'}", where=where)
    return found.family


def _configured(header: Header, family: str, part: str, file: Path) -> Numbers:
    shapes = {name: tensor.shape for name, tensor in header.tensors.items()}
    try:
        return configure_component(below(shapes, (*PREFIXES[family][part], "")), family, part)
    except ModelError as error:
        raise ModelError(error.message, where=str(file)) from error


def _linked(configured: Path, files: Mapping[str, Path]) -> Path:
    """Return a folder like `configured`, with a link to each file of weights; written if it is not there yet."""
    named = "".join(f"{part} {file}\n" for part, file in sorted(files.items()))
    key = hashlib.sha256(f"{configured.name}\n{named}".encode()).hexdigest()[:16]
    folder = own_cache() / "gathered" / key
    if (folder / INDEX).is_file():
        return folder
    links = {f"{part}/{ORIGINAL}": file for part, file in files.items()}
    links |= {
        file.relative_to(configured).as_posix(): file
        for file in configured.rglob("*")
        if file.is_file() and file.name != INDEX
    }
    try:
        for name, file in links.items():
            _link(folder / name, file)
        _link(folder / INDEX, configured / INDEX)  # last: it says that the folder is whole
    except OSError as error:
        raise ModelError(
            f"cannot be written: {error.strerror}; XDG_CACHE_HOME says where", where=str(folder)
        ) from error
    return folder


def _link(link: Path, file: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    temporary = link.with_name(f"{link.name}.{os.getpid()}")
    temporary.symlink_to(file)
    temporary.replace(link)
