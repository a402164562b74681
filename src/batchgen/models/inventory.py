"""What is known of each model on the shelf, by headers alone: family, number format, size, and whether it is whole."""

from dataclasses import dataclass, replace
from pathlib import Path

from batchgen.errors import ModelError
from batchgen.models.adapter import trigger_words
from batchgen.models.families import FAMILIES
from batchgen.models.folder import files_in_use, read_index
from batchgen.models.header import read_header
from batchgen.models.recognise import Recognised, recognise
from batchgen.models.shelf import Entry

FITS = {
    "checkpoint": {"checkpoint", "diffusion_model"},
    "diffusion_model": {"diffusion_model", "checkpoint"},
    "text_encoder": {"text_encoder"},
    "lora": {"lora"},
    "vae": {"vae"},
    "upscaler": {"upscaler", "unknown"},
    "embedding": {"embedding", "unknown"},
}
"""What may lie in the folder of a kind. Upscalers are of more sorts than their names tell here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """One model of a shelf."""

    entry: Entry
    what: Recognised
    size: int
    """Bytes."""

    broken: str = ""
    """Why it cannot be used, in words; empty if it can."""

    triggers: tuple[str, ...] = ()
    """Words that an adapter was trained with, as the file says."""


def look_at(entry: Entry) -> Known:
    """Return what is known of the model `entry`; whatever is wrong with it is part of the answer."""
    nothing = Recognised(kind="unknown")
    try:
        if entry.path.is_dir():
            return _folder(entry)
        size = entry.path.stat().st_size
        if entry.path.suffix != ".safetensors":
            # A pickle is not opened to see what is in it.
            return Known(entry=entry, what=nothing, size=size, broken=entry.refused)
        header = read_header(entry.path)
        what = recognise(header)
    except ModelError as error:
        return Known(entry=entry, what=nothing, size=_size(entry.path), broken=error.message)
    except OSError as error:
        return Known(entry=entry, what=nothing, size=0, broken=f"cannot be read: {error.strerror}")
    triggers = trigger_words(header.metadata) if what.kind == "lora" else ()
    return Known(entry=entry, what=what, size=size, broken=what.refused or _misplaced(entry, what), triggers=triggers)


def _misplaced(entry: Entry, what: Recognised) -> str:
    if what.kind in FITS[entry.kind]:
        return ""
    return f"lies among files of kind {entry.kind}, but is of kind {what.kind}"


def _folder(entry: Entry) -> Known:
    """Look at a diffusers folder: whether all its weights are there, and in which format the denoiser is."""
    pipeline = read_index(entry.path).get("_class_name")
    family = next((family for family in FAMILIES.values() if pipeline in family.pipelines), None)
    if family is None:
        what = Recognised(kind="checkpoint")
        broken = f"is a {pipeline}, which batchgen does not render with"
        return Known(entry=entry, what=what, size=_size(entry.path), broken=broken)
    weights = [file for file in files_in_use(entry.path, family).values() if file.suffix == ".safetensors"]
    parts = [recognise(read_header(file)) for file in weights]
    what = replace(
        parts[0], kind="checkpoint", family=family.name, refused="", parameters=sum(part.parameters for part in parts)
    )
    return Known(entry=entry, what=what, size=sum(file.stat().st_size for file in weights))


def _size(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.stat().st_size for file in files if file.is_file())
