"""What A1111 and its relatives write of a file of weights in place of its whole SHA-256."""

import hashlib
from pathlib import Path

from batchgen.errors import ModelError
from batchgen.models.header import read_header

_OLD_START, _OLD_LENGTH, _OLD_DIGITS = 2**20, 2**16, 8
_LENGTH_BYTES = 8


def old_hash(path: Path) -> str | None:
    """Return A1111's hash until the end of 2022: of 64 KiB at the second MiB, 8 hex digits; None if it cannot be read.

    Different files may well have the same one.
    """
    try:
        with path.open("rb") as file:
            file.seek(_OLD_START)
            return hashlib.sha256(file.read(_OLD_LENGTH)).hexdigest()[:_OLD_DIGITS]
    except OSError:
        return None


def noted_hash(path: Path) -> str | None:
    """Return the SHA-256 of an adapter's data that its trainer noted in it, which A1111 believes; None without one."""
    try:
        return read_header(path).metadata.get("sshs_model_hash")
    except ModelError:
        return None


def data_hash(path: Path) -> str | None:
    """Return the SHA-256 of what follows the header of a safetensors file; None if it cannot be read."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(_LENGTH_BYTES), "little")
            if length > path.stat().st_size:
                return None
            file.seek(_LENGTH_BYTES + length)
            while block := file.read(2**20):
                digest.update(block)
    except OSError:
        return None
    return digest.hexdigest()
