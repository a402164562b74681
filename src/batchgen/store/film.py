"""What a clip is like, and the hash of its frames: the same words for every container."""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from batchgen.engine import Pixels
from batchgen.errors import StoreError
from batchgen.store.images import MAX_PIXELS

_MOST_FRAMES = 1025
"""As many as a job may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Film:
    """The measures of a clip."""

    frames: int
    height: int
    """Pixels."""
    width: int
    """Pixels."""
    fps: float
    """Frames a second."""

    @classmethod
    def of(cls, pixels: Pixels, fps: float) -> Self:
        """Return the measures of `pixels`, frames x height x width x 3.

        Raises:
            StoreError: that is no clip.
        """
        if pixels.ndim != 4 or pixels.shape[-1] != 3 or pixels.dtype.name != "uint8" or not pixels.size:
            raise StoreError(f"{pixels.dtype.name} of shape {pixels.shape} is no clip: it has no frames, or no colours")
        frames, height, width, _ = pixels.shape
        return cls(frames=frames, height=height, width=width, fps=fps)

    @classmethod
    def told(cls, output: Any, where: str) -> Self:
        """Return the measures that a record, which may be anybody's, tells of under `output`.

        Raises:
            StoreError: it tells none, or such as no clip has.
        """
        said = output if isinstance(output, Mapping) else {}
        frames, height, width = (_whole(said.get(name)) for name in ("frames", "height", "width"))
        fps = said.get("fps")
        if not frames * height * width or not isinstance(fps, int | float) or not 1 <= fps <= 120:
            raise StoreError("its record does not tell frames, size and frames a second of a clip", where=where)
        if frames > _MOST_FRAMES or width * height > MAX_PIXELS:
            raise StoreError(f"{frames} frames of {width}x{height} are more than any clip has", where=where)
        return cls(frames=frames, height=height, width=width, fps=float(fps))

    def sha256(self, kind: str, frames: Iterable[bytes | memoryview]) -> str:
        """SHA-256 over `<kind> <width>x<height>x<frames>`, a line feed, and the frames: 64 hex digits."""
        digest = hashlib.sha256(f"{kind} {self.width}x{self.height}x{self.frames}\n".encode())
        for frame in frames:
            digest.update(frame)
        return digest.hexdigest()

    def ends(self, unit: int) -> list[int]:
        """Return when each frame ends, in whole parts of a second of which there are `unit`: rounding does not add up.

        >>> Film(frames=3, height=1, width=1, fps=8.0).ends(100)
        [12, 25, 38]
        """
        return [round(unit * number / self.fps) for number in range(1, self.frames + 1)]


def _whole(value: Any) -> int:
    return value if type(value) is int and value > 0 else 0
