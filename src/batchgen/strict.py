"""Strict reading of what YAML gave: known keys only, each value of its own type. `yes` is no number, 1 no boolean."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ConfigDict, TypeAdapter, ValidationError

from batchgen.errors import unknown_name

Types = Mapping[str, Any]
"""The keys that there are, with the annotated type of each value."""


class Misread(ValueError):
    """A key or value is wrong; `key` says at which place to look."""

    def __init__(self, key: str, message: str) -> None:
        """Say `message` about `key`."""
        super().__init__(message)
        self.key = key


def read(types: Types, values: Mapping[Any, Any], kind: str = "key") -> dict[str, Any]:
    """Return `values`, each as its type has it: 7 becomes 7.0 where a float is meant.

    Raises:
        Misread: a key is not among `types`, or a value is not of its type.
    """
    return {key: read_value(types, key, value, kind) for key, value in values.items()}


def read_value(types: Types, key: Any, value: Any, kind: str = "key") -> Any:
    """Return `value` as the type of `key` has it.

    Raises:
        Misread: as `read`.
    """
    if key not in types:
        raise Misread(str(key), unknown_name(kind, str(key), types))
    adapter: TypeAdapter[Any] = TypeAdapter(types[key], config=ConfigDict(strict=True, allow_inf_nan=False))
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        reason = error.errors(include_url=False)[0]["msg"].replace("Input should be ", "must be ")
        raise Misread(key, f"{key}: {reason}, not {value!r}") from error


def read_with(check: Callable[[str, Any], Any], known: Types, values: Mapping[Any, Any], kind: str) -> dict[str, Any]:
    """Return `values` as `check` has them, which says in a ValueError what is wrong with one; nulls are left out.

    Raises:
        Misread: a key is not among `known`, or `check` refused a value.
    """
    found = {}
    for key, value in values.items():
        if key not in known:
            raise Misread(str(key), unknown_name(kind, str(key), known))
        if value is not None:
            try:
                found[key] = check(key, value)
            except ValueError as error:
                raise Misread(key, str(error)) from error
    return found


def place(file: Path, shown: str, *keys: str) -> str:
    """Return `shown:LINE`, the line on which the nested `keys` stand in the YAML `file`, or `shown` if they do not."""
    try:
        node = yaml.compose(file.read_text(encoding="utf-8"), Loader=yaml.SafeLoader)
    except (OSError, ValueError, yaml.YAMLError, RecursionError):
        return shown
    line = None
    for key in keys:
        pairs = node.value if isinstance(node, yaml.MappingNode) else []
        found = next(((name, value) for name, value in pairs if name.value == key), None)
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return f"{shown}:{line}" if line else shown
