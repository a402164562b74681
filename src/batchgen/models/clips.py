"""What one model of clips makes of a size and a number of frames, by its own configurations; no weight is read.

Models of a family differ: CogVideoX 5B that animates was taught one size, Wan 2.2 5B makes latent pixels of 16 x 16.
"""

from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from batchgen.errors import ModelError
from batchgen.job import Model
from batchgen.models.families import FAMILIES
from batchgen.models.folder import read_json
from batchgen.parts import Canvas, Motion


@dataclass(frozen=True, slots=True, kw_only=True)
class Grain:
    """How coarse a model sees."""

    side: int
    """Pixels along a side of a latent pixel."""

    frames: int
    """Frames of a latent frame, but for the first, which is alone."""

    patch: tuple[int, int]
    """Latent frames, and latent pixels along a side, of one token of the denoiser."""

    channels: int
    """Of a latent."""

    only: tuple[int, int] | None = None
    """Width and height, where no others can be made."""

    def latent(self, canvas: Canvas, motion: Motion) -> tuple[int, int, int]:
        """Return frames, height and width of a clip's latent."""
        frames = (motion.frames - 1) // self.frames + 1
        return (frames + -frames % self.patch[0], canvas.height // self.side, canvas.width // self.side)

    def tokens(self, canvas: Canvas, motion: Motion) -> int:
        """Return how many tokens the denoiser makes of it, those of the text not among them."""
        return prod(self.latent(canvas, motion)) // (self.patch[0] * self.patch[1] ** 2)


def grain(model: Model) -> Grain | None:
    """Return how coarse a model of clips sees; None: it makes pictures, or its configurations are not here.

    Raises:
        ModelError: a configuration is damaged.
    """
    folder = Path(model.path)
    places = [folder / part / "config.json" for part in ("vae", "transformer")]
    if model.family not in FAMILIES or not FAMILIES[model.family].frames or not all(map(Path.is_file, places)):
        return None
    vae, denoiser = map(read_json, places)
    try:
        read = {"wan": _wan, "ltx": _ltx}.get(model.family, _cogvideox)
        return read(vae, denoiser)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise ModelError(f"is not as its family's are: {error}", where=str(places[0])) from error


def check_clip(model: Model, canvas: Canvas) -> None:
    """Refuse a size that this model cannot make, though others of its family can.

    Raises:
        ModelError: naming what it can.
    """
    found = grain(model)
    if found is None:
        return
    if found.only and (canvas.width, canvas.height) != found.only:
        wide, high = found.only
        field = "width" if canvas.width != wide else "height"
        text = f"{field} {getattr(canvas, field)}: model {model.name!r} was taught one size, {wide}x{high}"
        raise ModelError(text)
    multiple = found.side * found.patch[1]
    for field in ("width", "height"):
        pixels = getattr(canvas, field)
        if pixels % multiple:
            below = pixels - pixels % multiple
            near = ", ".join(str(each) for each in (below, below + multiple) if each)
            text = f"{field} {pixels} is no multiple of {multiple}, as model {model.name!r} needs it; nearest: {near}"
            raise ModelError(text)


def _cogvideox(vae: dict[str, Any], denoiser: dict[str, Any]) -> Grain:
    side = 2 ** (len(vae["block_out_channels"]) - 1)
    learned = denoiser.get("use_learned_positional_embeddings")
    return Grain(
        side=side,
        frames=int(vae["temporal_compression_ratio"]),
        patch=(denoiser.get("patch_size_t") or 1, denoiser["patch_size"]),
        channels=vae["latent_channels"],
        only=(denoiser["sample_width"] * side, denoiser["sample_height"] * side) if learned else None,
    )


def _wan(vae: dict[str, Any], denoiser: dict[str, Any]) -> Grain:
    frames, side, _ = denoiser["patch_size"]
    # Configurations of 2.1 were written before there were others.
    return Grain(
        side=vae.get("scale_factor_spatial") or 8,
        frames=vae.get("scale_factor_temporal") or 4,
        patch=(frames, side),
        channels=vae["z_dim"],
    )


def _ltx(vae: dict[str, Any], denoiser: dict[str, Any]) -> Grain:
    halvings = 2 ** sum(vae["spatio_temporal_scaling"])
    return Grain(
        side=vae.get("spatial_compression_ratio") or vae["patch_size"] * halvings,
        frames=vae.get("temporal_compression_ratio") or vae["patch_size_t"] * halvings,
        patch=(denoiser["patch_size_t"], denoiser["patch_size"]),
        channels=vae["latent_channels"],
    )
