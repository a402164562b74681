"""From an option of conf/model/ to the weights themselves: found, checked and identified."""

from collections.abc import Sequence
from pathlib import Path

from batchgen.errors import ModelError
from batchgen.job import Model
from batchgen.models.digest import DigestCache, OnHash, model_digest
from batchgen.models.families import FAMILIES
from batchgen.models.find import configuration, find
from batchgen.models.folder import files_in_use, read_index
from batchgen.models.header import Header, read_header
from batchgen.models.option import ModelConf
from batchgen.models.training import check_training


def resolve(conf: ModelConf, folders: Sequence[Path], cache: DigestCache, on_hash: OnHash | None = None) -> Model:
    """Find the files of a model, see that they are whole and of its family, and hash them.

    Raises:
        ModelError: the model is not on this machine, not whole, or of another family.
    """
    path = find(conf.source, folders, name=conf.name, where=conf.where).absolute()
    return Model(
        digest=model_digest(files_of(conf, path), cache, on_hash), family=conf.family, name=conf.name, path=str(path)
    )


def files_of(conf: ModelConf, path: Path) -> dict[str, Path]:
    """Return the files in use of the model at `path`, by the part they play, once they are seen to be whole.

    Raises:
        ModelError: one is missing or not whole, or the model is of another family.
    """
    return _folder_files(path, conf) if path.is_dir() else _checkpoint_files(path, conf)


def _folder_files(folder: Path, conf: ModelConf) -> dict[str, Path]:
    pipeline = read_index(folder).get("_class_name")
    _agree(conf, next((name for name, family in FAMILIES.items() if pipeline in family.pipelines), None), str(pipeline))
    files = files_in_use(folder, FAMILIES[conf.family])
    check_training(folder, FAMILIES[conf.family])
    for file in files.values():
        if file.suffix == ".safetensors":
            read_header(file)
    return files


def _checkpoint_files(checkpoint: Path, conf: ModelConf) -> dict[str, Path]:
    """Return the files by the part they play: renaming a checkpoint makes no other model of it."""
    _agree(conf, checkpoint_family(read_header(checkpoint)), "something else than a whole checkpoint")
    folder = configuration(checkpoint, conf.family)
    described = files_in_use(folder, FAMILIES[conf.family], weights=False)
    check_training(folder, FAMILIES[conf.family])
    return {"checkpoint": checkpoint} | {f"configuration/{name}": file for name, file in described.items()}


def _agree(conf: ModelConf, found: str | None, otherwise: str) -> None:
    if found != conf.family:
        title = FAMILIES[found].title if found else otherwise
        message = f"model {conf.name!r} is {title}, not {FAMILIES[conf.family].title} as its family says"
        raise ModelError(message, where=conf.where)


def checkpoint_family(header: Header) -> str | None:
    """Return the family of a whole single-file checkpoint, by its tensors' names and shapes; None if it is no such.

    Whole means that its autoencoder is in it: a bare denoiser or a LoRA is not.
    """
    names = tuple(header.tensors)
    if not _any(names, "first_stage_model.", "vae."):
        return None
    if _any(names, "double_blocks.", "model.diffusion_model.double_blocks."):
        return "flux"
    if _any(names, "conditioner.embedders.1."):
        return "sdxl"
    return "sd15" if _any(names, "cond_stage_model.transformer.") and _context_size(header) == 768 else None


def _any(names: Sequence[str], *beginnings: str) -> bool:
    return any(name.startswith(beginnings) for name in names)


def _context_size(header: Header) -> int:
    """Return the width of the text embeddings that cross attention takes: 768 in Stable Diffusion 1, 1024 in 2."""
    shapes = (tensor.shape for name, tensor in header.tensors.items() if name.endswith("attn2.to_k.weight"))
    return next((shape[1] for shape in shapes if len(shape) == 2), 0)
