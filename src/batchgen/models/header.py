"""The header of a safetensors file: which tensors it has, without loading any of them.

The layout is eight bytes of length (little endian), so many bytes of JSON, then the data that the JSON points into.
What a download gone wrong leaves behind (a cut file, an error page, a Git LFS pointer) is told apart here, because
every library below would say the same of all of them: that deserialising failed.
"""

import json
import math
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from batchgen.errors import ModelError

MAX_HEADER = 100_000_000
"""Bytes. The limit of the safetensors library itself; a length above it is no header."""

_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
    "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip

CONVERT = ".safetensors, or convert it once: torch.load(FILE, weights_only=True), then safetensors.torch.save_file()"
"""What to do with a pickle, behind `use the` or `get the`."""

_RENAMED = f"is a pickle under another name, and a pickle can run code when it is loaded; get the {CONVERT}"
_FORMS = (
    (b"version https://git-lfs", "is a Git LFS pointer, not the weights: fetch them with `git lfs pull`"),
    (b"<", "is a web page, not weights: the download was answered with a page; download it again"),
    (b"PK\x03\x04", _RENAMED),
    (b"\x80", _RENAMED),
)
"""How files begin that people have in place of weights, and what to say of them."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """What the header says of one tensor."""

    dtype: str
    """As safetensors writes it: `F16`, `BF16`, `F32`, ..."""

    shape: tuple[int, ...]

    nbytes: int
    """Size of its data in the file, in bytes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """What a safetensors file says of itself."""

    tensors: Mapping[str, Tensor]
    metadata: Mapping[str, str]
    """The file's own notes (`__metadata__`), often about training; never trusted."""


def read_header(path: Path) -> Header:
    """Read the header of `path` and check that the file is as long as the header says.

    What the data is worth is not seen here: flipped bits and a zeroed tail need the digest.

    Raises:
        ModelError: the file cannot be read, is no safetensors file, or is not whole; in words that say which.
    """
    try:
        size = _size(path)
        with path.open("rb") as file:
            fields, start = _read_json(path, file, size)
    except OSError as error:
        raise ModelError(f"cannot be read: {error.strerror}", where=str(path)) from error
    _refuse_unfinished(path)
    metadata = _metadata(path, fields.pop("__metadata__", {}))
    tensors = {name: _tensor(path, name, entry) for name, entry in fields.items()}
    _check_length(path, size - start, _data_length(path, fields))
    return Header(tensors=tensors, metadata=metadata)


def _size(path: Path) -> int:
    found = path.stat()
    if not stat.S_ISREG(found.st_mode):  # a pipe would be waited for without end
        raise ModelError("is no file", where=str(path))
    return found.st_size


def _read_json(path: Path, file: BinaryIO, size: int) -> tuple[dict[str, Any], int]:
    """Return the header's JSON object and the offset at which data begins."""
    beginning = file.read(64)
    length = int.from_bytes(beginning[:8], "little")
    if size < 10 or not 2 <= length <= MAX_HEADER or beginning[8:9] != b"{":
        raise ModelError(_form(beginning, size), where=str(path))
    if 8 + length > size:
        raise ModelError(f"is cut short: {size} bytes are here, its header alone needs {8 + length}", where=str(path))
    file.seek(8)
    try:
        fields = json.loads(file.read(length), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"is damaged: its header is no JSON ({error})", where=str(path)) from error
    return fields, 8 + length


def _form(beginning: bytes, size: int) -> str:
    """Say what a file is that does not begin as safetensors files do."""
    if size == 0:
        return "is empty: the download did not start; download it again"
    for mark, words in _FORMS:
        if beginning.lstrip().startswith(mark):
            return words
    return "is no safetensors file, or its beginning is damaged; download it again"


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a name stands in it twice"
        raise ValueError(message)
    return found


def _refuse_unfinished(path: Path) -> None:
    # aria2 gives a file its full length at once and keeps what is still missing in a file beside it.
    if path.with_name(path.name + ".aria2").exists():
        raise ModelError(f"is still being downloaded: {path.name}.aria2 lies beside it", where=str(path))


def _metadata(path: Path, value: Any) -> dict[str, str]:
    if not isinstance(value, dict) or not all(isinstance(each, str) for each in value.values()):
        raise ModelError("is damaged: its __metadata__ is not made of texts", where=str(path))
    return value


def _tensor(path: Path, name: str, entry: Any) -> Tensor:
    try:
        dtype, shape = entry["dtype"], tuple(entry["shape"])
        begin, end = entry["data_offsets"]
        sensible = isinstance(dtype, str) and all(type(n) is int and 0 <= n < 2**63 for n in (*shape, begin, end))
    except (KeyError, TypeError, ValueError):
        sensible = False
    if not sensible:
        raise ModelError(f"is damaged: its header says nothing sensible of {name[:80]!r}", where=str(path))
    # A type that is newer than this table is taken at its word.
    needed = (math.prod(shape) * _BITS[dtype] + 7) // 8 if dtype in _BITS else end - begin
    if end - begin != needed:
        raise ModelError(f"is damaged: {name[:80]!r} has {end - begin} bytes and needs {needed}", where=str(path))
    return Tensor(dtype, shape, needed)


def _data_length(path: Path, fields: Mapping[str, Any]) -> int:
    """Return how many bytes of data the tensors need; they must follow each other without gap or overlap."""
    reached = 0
    for begin, end in sorted(tuple(entry["data_offsets"]) for entry in fields.values()):
        if begin != reached:
            raise ModelError(f"is damaged: no tensor's data begins at byte {reached}", where=str(path))
        reached = end
    return reached


def _check_length(path: Path, here: int, needed: int) -> None:
    if here < needed:
        raise ModelError(f"is cut short: {needed - here} of {needed} bytes of data are missing", where=str(path))
    if here > needed:
        raise ModelError(f"is damaged: {here - needed} bytes too many stand after its data", where=str(path))
