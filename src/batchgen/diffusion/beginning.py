"""Pictures to begin with, and masks: from files to arrays of the canvas's size, and the result back into its place.

Pictures are read as they are looked at (EXIF orientation applied), 16 bits a channel are rounded to 8, and transparency
is laid on grey. Masks are 1 where the picture is painted anew.
"""

from contextlib import nullcontext
from dataclasses import dataclass
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter, ImageOps, UnidentifiedImageError

from batchgen.engine import Pixels, opened_frame
from batchgen.errors import EngineError
from batchgen.job import File, Job, Stage
from batchgen.parts import Canvas, Start
from batchgen.wishes import PICTURE_FORMATS

MOST_PIXELS = 16384 * 16384
"""Of a picture that is read."""

_UNREADABLE = (
    *(OSError, UnidentifiedImageError, ValueError, SyntaxError, Image.DecompressionBombError),
    *(BadZipFile, KeyError),
)

_FILTERS = {name: Image.Resampling[name.upper()] for name in ("nearest", "bilinear", "bicubic", "lanczos")}
_GREY = (127, 127, 127)

Mask = NDArray[np.float32]
"""Height x width, 0 to 1."""

_Box = tuple[int, int, int, int]
"""Left, top, right, bottom, in pixels."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a job begins with, at the canvas's size, and where its result belongs."""

    pixels: Pixels
    mask: Mask | None = None
    """At the canvas's size."""
    whole: Pixels | None = None
    """The picture around, where only a part of it is rendered."""
    box: _Box | None = None
    """That part."""
    paste: Mask | None = None
    """How much of the result counts, at the size of `whole` or the canvas."""

    def finished(self, rendered: Pixels) -> Pixels:
        """Put what was rendered into its place; outside of the mask the picture stays what it was, to the byte."""
        if self.paste is None:
            return rendered
        under = self.pixels if self.whole is None else self.whole
        over = rendered
        if self.whole is not None and self.box is not None:
            left, top, right, bottom = self.box
            part = Image.fromarray(rendered).resize((right - left, bottom - top), Image.Resampling.LANCZOS)
            over = under.copy()
            over[top:bottom, left:right] = np.asarray(part)
        share = self.paste[..., None]
        mixed = over.astype(np.float32) * share + under.astype(np.float32) * (1 - share)
        pixels: Pixels = np.round(mixed).astype(np.uint8)
        return pixels


def begin(job: Job) -> Beginning | None:
    """Read what `job` begins with; None if it begins with noise.

    Raises:
        EngineError: a picture cannot be read, or its mask is empty.
    """
    if job.init_image is None:
        return None
    picture, start = _opened(job.init_image), job.start
    mask = _mask_of(job, picture)
    colours = _on_grey(picture)
    if mask is None:
        return Beginning(pixels=_array(_fitted(colours, job.canvas, start)))
    mask = _widened(mask, start)
    if start.mask_padding is None:
        fitted = _share(_fitted(mask, job.canvas, start))
        paste = fitted if start.mask_paste else None
        return Beginning(pixels=_array(_fitted(colours, job.canvas, start)), mask=fitted, paste=paste)
    box = _box(mask, start.mask_padding, job.canvas)
    stretched = (job.canvas.width, job.canvas.height)
    part = colours.crop(box).resize(stretched, _FILTERS[start.resize_filter])
    return Beginning(
        pixels=_array(part),
        mask=_share(mask.crop(box).resize(stretched, Image.Resampling.BILINEAR)),
        whole=_array(colours),
        box=box,
        paste=_share(mask),
    )


def read_pixels(source: File | Stage, frame: int | None = None) -> Pixels:
    """Return the colours of a picture, or of a frame of a clip, counted from 1: height x width x 3.

    Raises:
        EngineError: it cannot be read.
    """
    return _array(_on_grey(_opened(source, frame)))


def _masked(job: Job) -> bool:
    return job.mask_image is not None or job.start.mask_alpha


def _opened(source: File | Stage, frame: int | None = None) -> Image.Image:
    try:
        number = frame or (source.frame if isinstance(source, Stage) else None)
        there = nullcontext(source.path) if number is None else opened_frame(source.path, number)
        with there as file, Image.open(file, formats=PICTURE_FORMATS) as found:
            if found.width * found.height > MOST_PIXELS:
                raise EngineError(f"has more than {MOST_PIXELS:,} pixels", where=source.path)
            found.load()
            return _in_eight_bits(ImageOps.exif_transpose(found))
    except _UNREADABLE as error:
        raise EngineError(f"cannot be read as a picture: {error}", where=source.path) from error


def _in_eight_bits(picture: Image.Image) -> Image.Image:
    """Return a picture of 16 bits a channel in 8; Pillow would cut off what is over 255."""
    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.nan_to_num(np.asarray(picture, dtype=np.float64))
    # Of 32 bits nobody says what white is.
    usual = (65535.0,) if picture.mode.startswith("I;16") else (1.0, 255.0, 65535.0)
    most = next((each for each in usual if values.max(initial=0) <= each), usual[-1])
    return Image.fromarray(np.round(np.clip(values / most, 0, 1) * 255).astype(np.uint8))


def _on_grey(picture: Image.Image) -> Image.Image:
    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, (*_GREY, 255)), layer).convert("RGB")


def _mask_of(job: Job, picture: Image.Image) -> Image.Image | None:
    """Return the mask, as large as the picture: white where it is painted anew."""
    if job.mask_image is not None:
        mask = _opened(job.mask_image)
        return mask.convert("L").resize(picture.size, Image.Resampling.BILINEAR)
    if not job.start.mask_alpha:
        return None
    if not picture.has_transparency_data:
        raise EngineError("mask_image: alpha, and the picture has no transparency", where=_path(job))
    return ImageOps.invert(picture.convert("RGBA").getchannel("A"))


def _path(job: Job) -> str | None:
    return None if job.init_image is None else job.init_image.path


def _widened(mask: Image.Image, start: Start) -> Image.Image:
    if start.mask_grow:
        mask = Image.fromarray(_grown(_grown(np.asarray(mask), start.mask_grow).T, start.mask_grow).T)
    return mask.filter(ImageFilter.GaussianBlur(start.mask_blur)) if start.mask_blur else mask


def _grown(values: NDArray[np.uint8], by: int) -> NDArray[np.uint8]:
    """Return the largest of the values up to `by` rows away. Pillow's filter would take a square of that for each."""
    found, seen, wanted = np.pad(values, ((by, by), (0, 0))), 1, 2 * by + 1
    while seen < wanted:
        step = min(seen, wanted - seen)
        found, seen = np.maximum(found[:-step], found[step:]), seen + step
    return found


def _fitted(picture: Image.Image, canvas: Canvas, start: Start) -> Image.Image:
    size, how = (canvas.width, canvas.height), _FILTERS[start.resize_filter]
    if picture.size == size:
        return picture
    if start.resize == "stretch":
        return picture.resize(size, how)
    if start.resize == "crop":
        return ImageOps.fit(picture, size, how)
    return ImageOps.pad(picture, size, how, color=_GREY if picture.mode == "RGB" else 255)


def _box(mask: Image.Image, padding: int, canvas: Canvas) -> _Box:
    """Return the surroundings of what is masked, in the proportions of the canvas as far as the picture allows."""
    found = mask.point(lambda value: 255 if value > 0 else 0).getbbox()
    if found is None:
        raise EngineError("the mask is empty: nothing of it is white")
    left, top, right, bottom = found
    left, top, right, bottom = left - padding, top - padding, right + padding, bottom + padding
    width, height = right - left, bottom - top
    if width * canvas.height < height * canvas.width:
        width = round(height * canvas.width / canvas.height)
    else:
        height = round(width * canvas.height / canvas.width)
    width, height = min(width, mask.width), min(height, mask.height)
    left = min(max(0, (left + right - width) // 2), mask.width - width)
    top = min(max(0, (top + bottom - height) // 2), mask.height - height)
    return left, top, left + width, top + height


def _array(picture: Image.Image) -> Pixels:
    pixels: Pixels = np.asarray(picture.convert("RGB"))
    return pixels


def _share(mask: Image.Image) -> Mask:
    share: Mask = np.asarray(mask, dtype=np.float32) / np.float32(255)
    return share
