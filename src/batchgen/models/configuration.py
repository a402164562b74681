"""The folder of configurations and tokenizers that a single file is loaded with: somebody's own, or one put together.

It is an ordinary diffusers folder without weights. Where nobody laid one beside the file, it is written once into
batchgen's cache, from what the header tells and a vocabulary that lies on this machine; its name comes from the
header alone, so that a process that knows only the file finds what another one put together.
"""

import hashlib
import json
import os
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from batchgen.errors import ModelError
from batchgen.models.components import Numbers, configure, index_of
from batchgen.models.families import FAMILIES
from batchgen.models.folder import INDEX
from batchgen.models.header import read_header
from batchgen.models.hub import hub_cache
from batchgen.models.vocabulary import find_vocabulary, places

_READERS = (("text_encoder", "tokenizer"), ("text_encoder_2", "tokenizer_2"))


def configuration(checkpoint: Path, family: str, folders: Sequence[Path] = ()) -> Path:
    """Return the diffusers folder with the configurations and tokenizers that a single-file checkpoint does not hold.

    It is the folder of the checkpoint's name beside it, else one that is put together, with vocabularies that are
    looked for beside the checkpoint, in the Hugging Face cache, and in and above the models folders `folders`.

    Raises:
        ModelError: a component is missing from the file or built in an unknown way, or a vocabulary is nowhere.
    """
    beside = checkpoint.with_suffix("")
    if (beside / INDEX).is_file():
        return beside
    try:
        numbers = configure(read_header(checkpoint), family)
    except ModelError as error:
        raise ModelError(error.message, where=error.where or str(checkpoint)) from error
    return assembled(numbers, family, checkpoint, folders)


def assembled(numbers: Mapping[str, Numbers], family: str, near: Path, folders: Sequence[Path]) -> Path:
    """Return the folder with these configurations and the vocabularies that fit them; written if it is not there yet.

    Raises:
        ModelError: a vocabulary is nowhere, or the cache cannot be written.
    """
    texts = {INDEX: _json(index_of(family))}
    for component, content in numbers.items():
        name = "scheduler_config.json" if component == "scheduler" else "config.json"
        texts[f"{component}/{name}"] = _json(content)
    key = hashlib.sha256("".join(f"{name}\n{texts[name]}" for name in sorted(texts)).encode()).hexdigest()[:16]
    folder = own_cache() / "configurations" / f"{family}-{key}"
    if not (folder / INDEX).is_file():
        _write(folder, texts | _tokenizers(numbers, family, near, folders))
    return folder


def own_cache() -> Path:
    """Return batchgen's folder below the person's cache folder, by the variable that says where that is."""
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(chosen) if Path(chosen).is_absolute() else Path.home() / ".cache") / "batchgen"


def _tokenizers(numbers: Mapping[str, Numbers], family: str, near: Path, folders: Sequence[Path]) -> dict[str, str]:
    texts: dict[str, str] = {}
    for encoder, tokenizer in _READERS:
        if encoder not in numbers:
            continue
        content = numbers[encoder]
        reader, title = ("t5", "T5") if content["model_type"] == "t5" else ("clip", "CLIP")
        rows, pad = content["vocab_size"], content["pad_token_id"]
        candidates = places(near.parent, folders, hub_cache())
        found = find_vocabulary("t5" if reader == "t5" else "clip", rows, candidates, pad=pad)
        if found is None:
            raise ModelError(_how_to_get(title, rows, family, near, folders), where=str(near))
        texts |= {f"{tokenizer}/{name}": text for name, text in found.items()}
    return texts


def _how_to_get(title: str, rows: int, family: str, near: Path, folders: Sequence[Path]) -> str:
    looked = ", ".join(dict.fromkeys(str(place) for place in (near.parent, hub_cache(), *folders)))
    return (
        f"needs {title}'s vocabulary ({rows} tokens), which no checkpoint holds: looked in {looked}, and for a ComfyUI "
        f"above them; where there is a network, get it once by: batchgen models pull {FAMILIES[family].tokenizers} "
        "--tokenizers"
    )


def _write(folder: Path, texts: Mapping[str, str]) -> None:
    """Write the folder as a whole: another process sees all of it or nothing."""
    temporary = folder.with_name(f"{folder.name}.{os.getpid()}")
    try:
        for name, text in texts.items():
            (temporary / name).parent.mkdir(parents=True, exist_ok=True)
            (temporary / name).write_text(text, encoding="utf-8")
        try:
            temporary.rename(folder)
        except OSError:
            if not (folder / INDEX).is_file():  # else another process was faster
                raise
    except OSError as error:
        raise ModelError(
            f"cannot be written: {error.strerror}; XDG_CACHE_HOME says where", where=str(folder)
        ) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _json(content: object) -> str:
    return json.dumps(content, indent=2, sort_keys=True) + "\n"
