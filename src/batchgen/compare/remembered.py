"""What was worked out about pictures before: `.batchgen/metrics.json`.

It goes by the hashes of pixels, so that it is never stale. Reading trusts nothing, and losing the file costs time only.
"""

import contextlib
import json
from collections.abc import Collection, Mapping
from typing import Annotated, Any

from pydantic import Field, TypeAdapter, ValidationError

from batchgen.store.content import content
from batchgen.store.layout import RunDirectory
from batchgen.store.publish import write_atomic

_FORMAT = 1
"""Goes up when the same pictures would get other numbers."""

Pair = tuple[float, float | None]
"""PSNR in dB, and SSIM where the pictures are large enough."""

Row = Mapping[str, float | None]
"""What somebody's program said of a picture, by column."""

_Number = Annotated[float, Field(allow_inf_nan=False)]
_DIFFERENCES = TypeAdapter(dict[str, dict[str, tuple[_Number, _Number | None]]])
_ROWS = TypeAdapter(dict[str, dict[str, dict[str, _Number | None]]])


class Remembered:
    """Differences by the hashes of two pictures, and answers of programs by program and picture."""

    def __init__(self, directory: RunDirectory) -> None:
        """Read what the run in `directory` has; nothing, where that is not as it was written."""
        self._directory = directory
        found = _read(directory)
        self._differences: dict[str, dict[str, Pair]] = _checked(_DIFFERENCES, found.get("differences"))
        self._rows: dict[str, dict[str, Row]] = _checked(_ROWS, found.get("own"))
        self._changed = False

    def difference(self, reference: str, picture: str) -> Pair | None:
        """Return what is known of two pictures, by the hashes of their pixels."""
        return self._differences.get(reference, {}).get(picture)

    def add_difference(self, reference: str, picture: str, pair: Pair) -> None:
        """Remember how far a picture is from another."""
        self._differences.setdefault(reference, {})[picture] = pair
        self._changed = True

    def row(self, program: str, picture: str) -> Row | None:
        """Return what a program said, by the hashes that name it and what it was asked."""
        return self._rows.get(program, {}).get(picture)

    def add_row(self, program: str, picture: str, row: Row) -> None:
        """Remember what a program said."""
        self._rows.setdefault(program, {})[picture] = dict(row)
        self._changed = True

    def forget_all_but(self, pictures: Collection[str]) -> None:
        """Forget differences of pictures that are not there any more."""
        kept = {
            reference: {picture: pair for picture, pair in pairs.items() if picture in pictures}
            for reference, pairs in self._differences.items()
            if reference in pictures
        }
        self._changed |= kept != self._differences
        self._differences = kept

    def save(self) -> None:
        """Keep it for the next time, where that is possible: a run may lie where nobody can write."""
        if not self._changed:
            return
        held = {"format": _FORMAT, "differences": self._differences, "own": self._rows}
        data = json.dumps(held, separators=(",", ":"), allow_nan=False).encode()
        with contextlib.suppress(OSError):
            self._directory.tmp.mkdir(exist_ok=True)
            write_atomic(self._directory.metrics, data, self._directory.tmp)
        self._changed = False


def _read(directory: RunDirectory) -> dict[str, Any]:
    try:
        found = json.loads(content(directory.metrics))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) and found.get("format") == _FORMAT else {}


def _checked(kind: TypeAdapter[Any], value: Any) -> Any:
    try:
        return kind.validate_python(value or {})
    except ValidationError:
        return {}
