"""A file of anybody's -> the pictures it tells of: our record, a ComfyUI graph, A1111's text, InvokeAI's metadata."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from batchgen.interop import comfyui, invokeai, invokeai_old, own
from batchgen.interop.a1111_reading import read_parameters
from batchgen.interop.comfyui_graph import parse
from batchgen.interop.imported import Imported, Unreadable
from batchgen.interop.pictures import SUFFIXES, texts_in

MAX_BYTES: Final = 64 * 2**20
"""Of a JSON or text file."""

_SECOND_TEXTS: Final = ("postprocessing", "extras")
"""Where A1111's upscaling tab says what it did to a picture that has its own text already."""


def read_file(path: Path, *, shown: str | None = None) -> tuple[Imported, ...]:
    """Return what a picture, workflow, record or text file tells of; at least one picture.

    Args:
        path: Where it is.
        shown: What errors call it; default: the path.

    Raises:
        Unreadable: it tells of none; why is in the message.
    """
    source = shown or str(path)
    try:
        return _read(path, source)
    except RecursionError as error:
        raise Unreadable("is nested too deep", where=source) from error


def _read(path: Path, source: str) -> tuple[Imported, ...]:
    suffix = path.suffix.lower()
    if suffix in SUFFIXES:
        texts = texts_in(path)
        # The names of our own pictures are made of their recipes; as the name of a prompt they would stand there twice.
        name = None if own.KEY in texts else path.stem
        return tuple(replace(each, name=each.name or name) for each in read_texts(texts, source))
    text = _text(path, source)
    return (read_parameters(text, source),) if suffix == ".txt" else read_json(parse(text, source), source)


def read_json(document: Any, source: str) -> tuple[Imported, ...]:
    """As `read_file`, of a JSON value."""
    if own.is_record(document):
        return (own.read_record(document, source),)
    if comfyui.is_comfyui(document):
        return comfyui.read_comfyui(document, source)
    if invokeai.is_invokeai(document):
        return (invokeai.read_metadata(document, source),)
    if invokeai_old.is_old_invokeai(document):
        return (invokeai_old.read_old_metadata(document, source),)
    raise Unreadable("is neither a ComfyUI workflow nor a record nor InvokeAI's metadata", where=source)


def read_texts(texts: Mapping[str, str], source: str) -> tuple[Imported, ...]:
    """As `read_file`, of the texts in a picture. The most exact one counts: record, graph, workflow, text."""
    if own.KEY in texts:
        return (own.read_text(texts[own.KEY], source),)
    for key in ("prompt", "workflow"):
        if (graph := _graph(texts.get(key, ""), source)) is not None:
            return comfyui.read_comfyui(graph, source)
    if "parameters" in texts:
        return (read_parameters(_with_second(texts), source),)
    for key in (invokeai.KEY, invokeai_old.KEY):
        if key in texts:
            return read_json(parse(texts[key], source), source)
    raise Unreadable("has no settings inside that are read here", where=source)


def _graph(text: str, source: str) -> Any:
    """Return a graph; None for anything else: others write the bare words of a prompt under the same key."""
    try:
        document = parse(text, source)
    except Unreadable:
        return None
    return document if comfyui.is_comfyui(document) else None


def _with_second(texts: Mapping[str, str]) -> str:
    second = next((texts[key] for key in _SECOND_TEXTS if "Postprocess" in texts.get(key, "")), "")
    first = texts["parameters"].strip()
    return f"{first}, {second}" if second and second not in first else first


def _text(path: Path, source: str) -> str:
    try:
        if not path.is_file():
            raise Unreadable("no such file", where=source)
        if path.stat().st_size > MAX_BYTES:
            raise Unreadable(f"is larger than {MAX_BYTES // 2**20} MiB", where=source)
        return path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise Unreadable(f"cannot be read: {error.strerror}", where=source) from error
    except UnicodeDecodeError as error:
        raise Unreadable("is no text in UTF-8", where=source) from error
