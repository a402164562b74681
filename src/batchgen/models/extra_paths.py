"""`extra_model_paths.yaml`: where ComfyUI was told that models lie, mostly in another program's folders.

Each group has a `base_path`, and under the name of a folder (`checkpoints`, `loras`, ...) one path or several lines of
them, relative to it.
"""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from batchgen.errors import ModelError

FILE = "extra_model_paths.yaml"

KINDS: Mapping[str, tuple[str, ...]] = {
    "checkpoint": ("checkpoints",),
    "diffusion_model": ("diffusion_models", "unet"),
    "text_encoder": ("text_encoders", "clip"),
    "lora": ("loras",),
    "vae": ("vae",),
    "upscaler": ("upscale_models",),
    "embedding": ("embeddings",),
}
"""ComfyUI's names of the folders of each kind of model."""

_ABOVE = 2
"""How many folders above a models folder the file is looked for: ComfyUI keeps it beside `models/`."""


def extra_folders(folder: Path, kind: str) -> tuple[Path, ...]:
    """Return the folders of models of `kind` that are named beside or above the models folder, or in it itself.

    `folder` may also be such a file.

    Raises:
        ModelError: the file cannot be read as what it should say.
    """
    found: dict[Path, None] = {}
    for file in _files(folder):
        for place in _places(file, kind):
            found[place] = None
    return tuple(found)


def _files(folder: Path) -> list[Path]:
    if folder.suffix in (".yaml", ".yml"):
        return [folder]
    return [file for above in (folder, *list(folder.parents)[:_ABOVE]) if (file := above / FILE).is_file()]


def _places(file: Path, kind: str) -> Iterator[Path]:
    for group in _groups(file).values():
        if not isinstance(group, dict):
            continue
        base = file.parent / _opened(group.get("base_path") or "")
        for name in KINDS[kind]:
            lines = str(group.get(name) or "").splitlines()
            yield from (base / _opened(line) for line in lines if line.strip())


def _opened(path: Any) -> Path:
    return Path(os.path.expandvars(str(path).strip())).expanduser()


def _groups(file: Path) -> dict[Any, Any]:
    try:
        found = yaml.safe_load(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"cannot be read: {error}", where=str(file)) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = f":{mark.line + 1}" if mark else ""
        raise ModelError(f"is no YAML: {getattr(error, 'problem', error)}", where=f"{file}{line}") from error
    if not isinstance(found, dict | None):
        raise ModelError("must hold groups, each with its base_path", where=str(file))
    return found or {}
