"""Families of models: what can be asked of each."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from batchgen.errors import ModelError, UsageError
from batchgen.job import Canvas, Sampling
from batchgen.sampling.names import check_sampling

_SD15_MODULES = ("unet", "vae", "text_encoder")
_SD15_TEXTS = ("tokenizer", "scheduler")

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

    def check(self, canvas: Canvas, sampling: Sampling, where: str | None = None) -> None:
        """Refuse what no model of this family can do, before anything is loaded.

        Raises:
            ModelError: a side is no multiple, the sampler is not for flow matching, or a field is not for this family.
            UsageError: there is no such sampler or schedule, or the schedule needs more steps.
        """
        for side, pixels in (("width", canvas.width), ("height", canvas.height)):
            if pixels % self.multiple:
                raise ModelError(
                    f"{side} {pixels} is no multiple of {self.multiple}; nearest: {self._nearest(pixels)}", where=where
                )
        if sampling.distilled_guidance is not None and not self.distilled_guidance:
            raise ModelError(f"{self.title} takes no distilled_guidance; guidance_scale is meant", where=where)
        try:
            check_sampling(sampling.sampler, sampling.schedule, steps=sampling.steps, flow=self.flow)
        except UsageError as error:
            raise type(error)(error.message, where=where) from error

    def _nearest(self, pixels: int) -> str:
        below = pixels - pixels % self.multiple
        return ", ".join(str(side) for side in (below, below + self.multiple) if side in _SIDES)


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
        )
    }
)
"""Every family by name. The embedded demo_shapes is an sd15: small, but of the same parts."""
