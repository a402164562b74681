"""Families of models: what can be asked of each."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from batchgen.errors import ModelError, UsageError
from batchgen.parts import Canvas, Motion, Sampling
from batchgen.sampling.names import check_sampling

_SD15_MODULES = ("unet", "vae", "text_encoder")
_SD15_TEXTS = ("tokenizer", "scheduler")

_STILL = Motion()

_MOST_FRAMES = 1025
"""Of any clip."""

_SIDES = range(8, 16384 + 1)
"""Pixels that the side of any canvas may have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """Models of one architecture, which differ in their weights alone."""

    name: str
    """As it stands in conf/model/ and in records."""

    title: str
    """As people call it."""

    multiple: int
    """Width and height must be multiples of this many pixels: what the autoencoder and the patches divide by."""

    flow: bool = False
    """Trained by flow matching (arXiv:2210.02747): noise levels run from 1 to 0, and not every sampler makes sense."""

    distilled_guidance: bool = False
    """The denoiser is told a guidance as a number; for others the field is refused."""

    cogvideox: bool = False
    """Begins with noise alone (zero terminal SNR, arXiv:2305.08891), by samplers of its own."""

    frames: int = 0
    """A clip has a multiple of this many frames, and one before them; 0: pictures alone.

    A causal autoencoder keeps the first frame by itself. Those of Wan make a latent frame of four, of LTX-Video of
    eight; CogVideoX's makes one of four, and decodes latent frames in pairs.
    """

    animates: bool = False
    """Makes a clip of the picture `init_image`, its first frame, and cannot do without."""

    pipelines: tuple[str, ...]
    """Class names in the model_index.json of its diffusers folders."""

    modules: tuple[str, ...]
    """Folders of the components with weights, in a diffusers folder of the family."""

    texts: tuple[str, ...]
    """Folders of the components without: tokenizers, and the scheduler's configuration."""

    tokenizers: str
    """The option of conf/model/ whose hub repository has the tokenizers of every model of the family."""

    usual: str
    """The option of conf/model/ whose recommended values hold where a checkpoint has none of its own."""

    def check(
        self,
        canvas: Canvas,
        sampling: Sampling,
        motion: Motion = _STILL,
        *,
        asked: Collection[str] = (),
        where: str | None = None,
    ) -> None:
        """Refuse what no model of this family can do, before anything is loaded.

        Args:
            canvas: How large.
            sampling: How noise becomes latents.
            motion: How long.
            asked: What is asked for beside fields, by name: `init_image`, `vae`, `hires`, ...
            where: The place of it all, for messages.

        Raises:
            ModelError: a size or a number of frames cannot be made, the sampler is for other models, or a field is.
            UsageError: there is no such sampler or schedule, or the schedule needs more steps.
        """
        for problem in (*self._sizes(canvas, motion), *self._fields(sampling), *self._beside(asked)):
            raise ModelError(problem, where=where)
        try:
            check_sampling(
                sampling.sampler,
                sampling.schedule,
                steps=sampling.steps,
                flow=self.flow,
                cogvideox=self.cogvideox,
            )
        except UsageError as error:
            raise type(error)(error.message, where=where) from error

    def _sizes(self, canvas: Canvas, motion: Motion) -> Iterable[str]:
        for side, pixels in (("width", canvas.width), ("height", canvas.height)):
            if pixels % self.multiple:
                nearest = _nearest(pixels, self.multiple, _SIDES)
                yield f"{side} {pixels} is no multiple of {self.multiple}; nearest: {nearest}"
        if not self.frames and motion.frames > 1:
            makers = ", ".join(name for name, each in FAMILIES.items() if each.frames)
            yield f"frames {motion.frames}: {self.title} makes pictures, of one frame; clips are made by {makers}"
        elif self.frames and (motion.frames % self.frames != 1 or (self.animates and motion.frames == 1)):
            later = range(self.frames if self.animates else 0, _MOST_FRAMES)
            nearest = _nearest(motion.frames - 1, self.frames, later, above=1)
            yield f"frames {motion.frames} is not {self.frames}k+1, as {self.title} needs it; nearest: {nearest}"

    def _fields(self, sampling: Sampling) -> Iterable[str]:
        if sampling.distilled_guidance is not None and not self.distilled_guidance:
            yield f"{self.title} takes no distilled_guidance; guidance_scale is meant"
        if sampling.dynamic_guidance and not self.cogvideox:
            yield f"dynamic_guidance is for CogVideoX alone, not for {self.title}"
        if sampling.shift is not None and not self.flow:
            flowing = ", ".join(name for name, each in FAMILIES.items() if each.flow)
            yield f"shift is for flow-matching models ({flowing}), not for {self.title}"

    def _beside(self, asked: Collection[str]) -> Iterable[str]:
        if self.animates and "init_image" not in asked:
            yield f"init_image is missing: {self.title} makes a clip of a picture"
        if not self.frames:
            return
        for name in ("init_image", "mask_image", "strength", "hires", "vae"):
            if name in asked and not (self.animates and name == "init_image"):
                yield f"{name} is not for {self.title}"


def _nearest(number: int, multiple: int, possible: range, *, above: int = 0) -> str:
    """Return the multiples next to `number` that are `possible`, `above` added to each."""
    below = number - number % multiple
    found = [each + above for each in (below, below + multiple) if each in possible]
    return ", ".join(map(str, found or [possible.start + above]))


_CLIP_MODULES = ("transformer", "vae", "text_encoder")


FAMILIES: Mapping[str, Family] = MappingProxyType(
    {
        family.name: family
        for family in (
            Family(
                name="sd15",
                title="Stable Diffusion 1.5",
                multiple=8,
                pipelines=("StableDiffusionPipeline",),
                modules=_SD15_MODULES,
                texts=_SD15_TEXTS,
                tokenizers="sd15",
                usual="sd15",
            ),
            Family(
                name="sdxl",
                title="Stable Diffusion XL",
                multiple=8,
                pipelines=("StableDiffusionXLPipeline",),
                modules=(*_SD15_MODULES, "text_encoder_2"),
                texts=(*_SD15_TEXTS, "tokenizer_2"),
                tokenizers="sdxl",
                usual="sdxl",
            ),
            Family(
                name="flux",
                title="FLUX.1",
                multiple=16,
                flow=True,
                distilled_guidance=True,
                pipelines=("FluxPipeline",),
                modules=("transformer", "vae", "text_encoder", "text_encoder_2"),
                texts=(*_SD15_TEXTS, "tokenizer_2"),
                tokenizers="flux_schnell",
                usual="flux_dev",
            ),
            Family(
                name="cogvideox",
                title="CogVideoX",
                multiple=16,
                cogvideox=True,
                frames=8,
                pipelines=("CogVideoXPipeline",),
                modules=_CLIP_MODULES,
                texts=_SD15_TEXTS,
                tokenizers="cogvideox_2b",
                usual="cogvideox_5b",
            ),
            Family(
                name="cogvideox_i2v",
                title="CogVideoX image to video",
                multiple=16,
                cogvideox=True,
                frames=8,
                animates=True,
                pipelines=("CogVideoXImageToVideoPipeline",),
                modules=_CLIP_MODULES,
                texts=_SD15_TEXTS,
                tokenizers="cogvideox_5b_i2v",
                usual="cogvideox_5b_i2v",
            ),
            Family(
                name="wan",
                title="Wan",
                multiple=16,
                flow=True,
                frames=4,
                pipelines=("WanPipeline",),
                modules=_CLIP_MODULES,
                texts=_SD15_TEXTS,
                tokenizers="wan21_t2v_1_3b",
                usual="wan21_t2v_1_3b",
            ),
            Family(
                name="ltx",
                title="LTX-Video",
                multiple=32,
                flow=True,
                frames=8,
                pipelines=("LTXPipeline",),
                modules=_CLIP_MODULES,
                texts=_SD15_TEXTS,
                tokenizers="ltx_video",
                usual="ltx_video",
            ),
        )
    }
)
"""Every family by name. The embedded demo_shapes is an sd15: small, but of the same parts."""
