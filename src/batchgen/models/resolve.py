"""From an option of conf/model/ to the weights themselves: found, checked and identified."""

from collections.abc import Sequence
from pathlib import Path

from batchgen.errors import ModelError
from batchgen.job import Model
from batchgen.models.configuration import configuration
from batchgen.models.digest import DigestCache, OnHash, model_digest
from batchgen.models.families import FAMILIES
from batchgen.models.find import find
from batchgen.models.folder import files_in_use, read_index
from batchgen.models.header import read_header
from batchgen.models.option import ModelConf
from batchgen.models.recognise import recognise
from batchgen.models.training import check_training

_OTHERWISE = {
    "diffusion_model": "a bare denoiser, without autoencoder and text encoders (source.parts puts them together)",
    "lora": "a LoRA",
    "vae": "an autoencoder alone",
    "text_encoder": "a text encoder alone",
    "upscaler": "an upscaler",
    "embedding": "an embedding",
    "unknown": "something else than a whole checkpoint",
}
"""What a file is that is no whole checkpoint."""


def resolve(conf: ModelConf, folders: Sequence[Path], cache: DigestCache, on_hash: OnHash | None = None) -> Model:
    """Find the files of a model, see that they are whole and of its family, and hash them.

    Raises:
        ModelError: the model is not on this machine, not whole, or of another family.
    """
    path = find(conf.source, folders, name=conf.name, where=conf.where).absolute()
    files = files_of(conf, path, folders)
    return Model(digest=model_digest(files, cache, on_hash), family=conf.family, name=conf.name, path=str(path))


def files_of(conf: ModelConf, path: Path, folders: Sequence[Path] = ()) -> dict[str, Path]:
    """Return the files in use of the model at `path`, by the part they play, once they are seen to be whole.

    The vocabularies that a single file needs are looked for in the models folders `folders` too; once a model was
    resolved, they need not be said again.

    Raises:
        ModelError: one is missing or not whole, or the model is of another family.
    """
    return _folder_files(path, conf) if path.is_dir() else _checkpoint_files(path, conf, folders)


def family_of(path: Path) -> str:
    """Return the family of a diffusers folder or a single file.

    Raises:
        ModelError: it is of none that can be rendered with.
    """
    if path.is_dir():
        pipeline = read_index(path).get("_class_name")
        family = next((name for name, each in FAMILIES.items() if pipeline in each.pipelines), None)
        otherwise = f"is a {pipeline}"
    else:
        found = recognise(read_header(path))
        family = found.family if found.kind == "checkpoint" and not found.refused else None
        otherwise = found.refused or f"is {_OTHERWISE.get(found.kind, _OTHERWISE['unknown'])}"
    if family is None:
        raise ModelError(f"{otherwise}, which cannot be rendered with", where=str(path))
    return family


def _folder_files(folder: Path, conf: ModelConf) -> dict[str, Path]:
    pipeline = read_index(folder).get("_class_name")
    _agree(conf, next((name for name, family in FAMILIES.items() if pipeline in family.pipelines), None), str(pipeline))
    files = files_in_use(folder, FAMILIES[conf.family])
    check_training(folder, FAMILIES[conf.family])
    for file in files.values():
        if file.suffix == ".safetensors":
            read_header(file)
    return files


def _checkpoint_files(checkpoint: Path, conf: ModelConf, folders: Sequence[Path]) -> dict[str, Path]:
    """Return the files by the part they play: renaming a checkpoint makes no other model of it."""
    found = recognise(read_header(checkpoint))
    if found.refused:
        raise ModelError(found.refused, where=str(checkpoint))
    whole = found.kind == "checkpoint"
    _agree(conf, found.family if whole else None, _OTHERWISE.get(found.kind, _OTHERWISE["unknown"]))
    folder = configuration(checkpoint, conf.family, folders)
    described = files_in_use(folder, FAMILIES[conf.family], weights=False)
    check_training(folder, FAMILIES[conf.family])
    return {"checkpoint": checkpoint} | {f"configuration/{name}": file for name, file in described.items()}


def _agree(conf: ModelConf, found: str | None, otherwise: str) -> None:
    if found != conf.family:
        title = FAMILIES[found].title if found else otherwise
        message = f"model {conf.name!r} is {title}, not {FAMILIES[conf.family].title} as its family says"
        raise ModelError(message, where=conf.where)
