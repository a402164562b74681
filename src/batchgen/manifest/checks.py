"""Checks of what kind a thing in a manifest is, and where a wrong one stands."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from batchgen.errors import ManifestError
from batchgen.manifest.reading import Document, Location


class Checks:
    """Checks of one document, with the line of what is wrong."""

    def __init__(self, document: Document) -> None:
        self._document = document

    def where(self, at: Location) -> str:
        """Return the place of a value, or of the nearest thing around it."""
        lines = self._document.lines
        line = next((lines[at[:n]] for n in range(len(at), -1, -1) if at[:n] in lines), 1)
        return f"{self._document.file}:{line}"

    def fail(self, at: Location, message: str) -> NoReturn:
        """Raise the error at its place."""
        raise ManifestError(message, where=self.where(at))

    def mapping(self, at: Location, value: Any) -> Mapping[str, Any]:
        """Return a mapping that has something in it, or the empty one that stands for nothing said."""
        if not isinstance(value, dict):
            example = "steps: 20" if at else "prompts: [a red circle]"
            self.fail(at, f"{_path(at)}must be a mapping such as `{example}`, not {shown(value)}")
        return value

    def list(self, at: Location, value: Any, example: str) -> Sequence[Any]:
        """Return a list."""
        if not isinstance(value, list):
            self.fail(at, f"{_path(at)}must be a list such as `{example}`, not {shown(value)}")
        return value

    def text(self, at: Location, value: Any) -> str:
        """Return a text."""
        if not isinstance(value, str):
            quoted = f'; in quotes it is one: "{value}"' if isinstance(value, int | float) else ""
            self.fail(at, f"{_path(at)}must be a text, not {shown(value)}{quoted}")
        return value

    def whole(self, at: Location, value: Any, *, least: int) -> int:
        """Return a whole number, at least `least`."""
        if type(value) is not int or value < least:
            self.fail(at, f"{_path(at)}must be a whole number, at least {least}, not {shown(value)}")
        return value

    def scalar(self, at: Location, value: Any) -> Any:
        """Return a text or number."""
        if value is None or isinstance(value, dict | list):
            self.fail(at, f"{_path(at)}must be one value, not {shown(value)}")
        return value

    def truth(self, at: Location, value: Any) -> bool:
        """Return true or false."""
        if not isinstance(value, bool):
            self.fail(at, f"{_path(at)}must be true or false, not {shown(value)}")
        return value


def shown(value: Any) -> str:
    """Return a value in a few words."""
    if value is None:
        return "nothing"
    if isinstance(value, dict):
        return "a mapping"
    return "a list" if isinstance(value, list) else repr(value)[:60]


def _path(at: Location) -> str:
    """Return the words before a message: `sweep.steps: `."""
    words = [f"[{each}]" if isinstance(each, int) else f".{each}" for each in at]
    return "".join(words).lstrip(".") + ": " if words else ""
