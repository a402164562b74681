"""What a saver of a ComfyUI graph saves -> the fields of a recipe.

From the picture backwards: perhaps made larger by a model, decoded, sampled; what was sampled began with noise, with a
picture from a file, or with the picture of a first pass.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from batchgen.interop import comfyui_values as v
from batchgen.interop.comfyui_evaluation import Missing
from batchgen.interop.comfyui_graph import Graph
from batchgen.interop.imported import RESAMPLING, Findings, Needed
from batchgen.sampling.names import SAMPLERS

_METHODS: Final[Mapping[str, str]] = {"nearest-exact": "nearest", **{name: name for name in RESAMPLING[1:]}}
_TIMES: Final = re.compile(r"(?:^|[^0-9])(?:([248])x|x([248]))(?:[^0-9]|$)", re.IGNORECASE)
_EMBEDDING: Final = re.compile(r"embedding:([^\s,():]+)")
_FLUX_TOKENS: Final = 4096
"""Tokens of 1024x1024 pixels, where the shift that depends on the size is ComfyUI's constant one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Branch:
    """What one saver saves."""

    recipe: Mapping[str, Any]
    checkpoint: str
    files: tuple[Needed, ...]
    batch: int
    """Pictures under one seed; `recipe` is that of the first, unless one was picked."""


def branch_of(image: v.Image, graph: Graph, found: Findings) -> Branch:
    """Return the recipe of a picture.

    Raises:
        Missing: none can be said; why was kept.
    """
    return _Branch(graph, found).of(image)


class _Branch:
    def __init__(self, graph: Graph, found: Findings) -> None:
        self._graph = graph
        self._found = found
        self._files: list[Needed] = []
        self._index: int | None = None

    def of(self, image: v.Image) -> Branch:
        image, upscale = self._after(image)
        if not isinstance(image, v.Decoded):
            raise Missing
        sampled = self._sampled(image.latent)
        first, hires = self._first_pass(sampled)
        start = self._start(first)
        batch = start.pop("batch", 1)
        if hires:
            hires = {"scale": self._scale(sampled.latent, start), **hires}
        self._flux(first, start)
        recipe = self._said(first, image.vae) | start
        recipe |= {"hires": hires} if hires else {}
        recipe |= {"upscale": self._times(upscale, start, hires)} if upscale else {}
        return Branch(
            recipe=recipe if self._index is None else placed(recipe, self._index, batch),
            checkpoint=first.told.model.checkpoint,
            files=tuple(dict.fromkeys(self._files)),
            batch=1 if self._index is not None else batch,
        )

    def _refuse(self, node: str, reason: str) -> None:
        self._found.refuse(self._graph[node].kind, reason, f"node {node}")

    def _warn(self, node: str, text: str) -> None:
        self._found.warn(f"{self._graph[node].label}: {text}")

    def _after(self, image: v.Image) -> tuple[v.Image, tuple[v.Enlarged, v.Resized[v.Image] | None] | None]:
        """Take off what was done to the finished picture: enlarged by a model, and perhaps resized then."""
        resized = None
        if isinstance(image, v.Resized):
            if not isinstance(image.inner, v.Enlarged):
                self._refuse(image.node, "resizes a finished picture without a model")
                return self._after(image.inner)
            resized, image = image, image.inner
        if not isinstance(image, v.Enlarged):
            return image, None
        inner, upscale = image.inner, (image, resized)
        while isinstance(inner, v.Enlarged | v.Resized):
            self._refuse(inner.node, "comes before another enlargement; here there is one")
            inner = inner.inner
        return inner, upscale

    def _sampled(self, latent: v.Latent) -> v.Sampled:
        while isinstance(latent, v.Picked):
            self._index, latent = latent.index, latent.inner
        if isinstance(latent, v.Sampled):
            if latent.half is not None:
                self._refuse(latent.node, "stops half way, and nothing goes on from there")
            return latent
        if isinstance(latent, v.Resized):
            self._refuse(latent.node, "resizes latents that nothing samples afterwards")
            return self._sampled(latent.inner)
        if isinstance(latent, v.Encoded):
            self._refuse(latent.node, "encodes a picture that nothing samples")
        raise Missing

    # What the first sampler was told.

    def _said(self, first: v.Sampled, vae: v.VaeValue) -> dict[str, Any]:
        told = first.told
        clip = self._clip(first)
        return {
            "prompt": told.positive.text,
            "negative_prompt": told.negative.text,
            "emphasis": "comfy",
            "clip_skip": clip.skip if clip else 1,
            "loras": self._loras(told.model, clip) or None,
            "vae": self._vae(first, vae),
            "seed": self._seed(first),
            "steps": first.steps,
            "sampler": first.sampler,
            "schedule": first.schedule,
            "guidance_scale": told.guidance,
            "distilled_guidance": told.positive.guidance,
            "noise": "cpu",
            "noise_scale": "full",
            "rounding": "truncate",
        }

    def _clip(self, first: v.Sampled) -> v.ClipValue | None:
        clip, other = first.told.positive.clip, first.told.negative.clip
        if clip and other and clip != other:
            self._refuse(first.node, "its prompts are read by different text encoders")
        if clip and clip.checkpoint not in (None, first.told.model.checkpoint):
            self._refuse(first.node, "its prompts are read by another checkpoint's text encoder")
        for text in (first.told.positive.text, first.told.negative.text):
            self._files += [Needed(kind="embedding", name=name) for name in _EMBEDDING.findall(text)]
        return clip

    def _loras(self, model: v.ModelValue, clip: v.ClipValue | None) -> list[dict[str, Any]]:
        of_model = {each.node: each for each in model.loras}
        of_clip = {each.node: each for each in (clip.loras if clip else ())}
        found = []
        for node, each in {**of_model, **of_clip}.items():
            scale = of_model[node].scale if node in of_model else 0.0
            clip_scale = of_clip[node].scale if node in of_clip else 0.0
            if scale or clip_scale:
                own = {"clip_scale": clip_scale} if clip_scale != scale else {}
                found.append({"name": each.name, "scale": scale, **own})
                self._files.append(Needed(kind="lora", name=each.name))
        return found

    def _vae(self, first: v.Sampled, vae: v.VaeValue) -> str | None:
        if vae.file:
            self._files.append(Needed(kind="vae", name=vae.file))
        elif vae.checkpoint != first.told.model.checkpoint:
            self._refuse(first.node, f"its latents are decoded by the VAE of another checkpoint, {vae.checkpoint!r}")
        latent = first.latent
        if isinstance(latent, v.Encoded) and latent.vae != vae:
            self._refuse(latent.node, "encodes with another VAE than the picture is decoded with")
        return vae.file

    def _seed(self, first: v.Sampled) -> int:
        if not 0 <= first.seed < 2**64:
            self._refuse(first.node, f"seed {first.seed} is not from 0 to 2^64-1")
            return 0
        return first.seed

    def _flux(self, first: v.Sampled, start: Mapping[str, Any]) -> None:
        """Compare the shift that FLUX gets here, by its size, with the one that the graph gives it."""
        size = (start.get("width", 0), start.get("height", 0))
        shift_of = first.told.model.shift_of
        if shift_of and shift_of != size:
            self._refuse(first.node, f"its noise levels are of the size {shift_of}, and the picture is of {size}")
        constant = first.told.positive.guidance is not None and shift_of is None
        if constant and (size[0] // 16) * (size[1] // 16) != _FLUX_TOKENS:
            self._warn(first.node, "without ModelSamplingFlux its noise levels are those of 1024x1024: pixels differ")

    # Where it began.

    def _start(self, first: v.Sampled) -> dict[str, Any]:
        match first.latent:
            case v.Empty(width=width, height=height, batch=batch):
                if first.strength != 1:
                    self._refuse(first.node, f"denoise {first.strength} of noise alone")
                return {"width": width, "height": height, "batch": batch}
            case v.Encoded() as encoded:
                return self._picture(encoded) | self._strength(first) | self._mask(encoded)
            case v.Sampled(node=node) | v.Picked(node=node) | v.Resized(node=node):
                self._refuse(node, "hands latents on to another sampler in a way that no hires field says")
                raise Missing

    def _strength(self, sampled: v.Sampled) -> dict[str, Any]:
        if not 0 < sampled.strength <= 1:
            self._refuse(sampled.node, f"denoise {sampled.strength} is not above 0 and up to 1")
            return {}
        return {"strength": sampled.strength}

    def _picture(self, encoded: v.Encoded) -> dict[str, Any]:
        image = encoded.image
        if isinstance(image, v.Loaded):
            return {"init_image": image.file}
        if not isinstance(image, v.Resized) or not isinstance(image.inner, v.Loaded) or image.factor is not None:
            self._refuse(encoded.node, "begins with a picture that was changed in a way that no field says")
            raise Missing
        if not image.width or not image.height:
            self._refuse(image.node, "a side of 0, which is worked out of the file's size")
        if image.method not in _METHODS:
            self._refuse(image.node, f"upscale_method {image.method!r} is not known here")
        elif image.method != "lanczos":
            self._warn(image.node, f"{image.method} is computed a little differently here")
        return {
            "init_image": image.inner.file,
            "resize": "crop" if image.crop else "stretch",
            "resize_filter": _METHODS.get(image.method, "lanczos"),
            "width": image.width,
            "height": image.height,
        }

    def _mask(self, encoded: v.Encoded) -> dict[str, Any]:
        if encoded.mask is None:
            return {}
        file = encoded.image.file if isinstance(encoded.image, v.Loaded) else None
        if isinstance(encoded.image, v.Resized) and isinstance(encoded.image.inner, v.Loaded):
            file = encoded.image.inner.file
        mask = encoded.mask
        if mask.alpha and mask.file != file:
            self._refuse(encoded.node, f"its mask is the alpha of another picture, {mask.file!r}")
        return {
            "mask_image": "alpha" if mask.alpha else mask.file,
            "mask_grow": encoded.grow,
            "mask_content": "neutral" if encoded.neutral else "original",
        }

    # A first pass, enlarged, and a second.

    def _first_pass(self, second: v.Sampled) -> tuple[v.Sampled, dict[str, Any] | None]:
        """Return the first pass, and what `hires` says but for its scale; or the only sampler that there is."""
        begun = _begun(second.latent)
        if begun is None:
            return second, None
        first = self._sampled(begun)
        same = replace(second, node=first.node, steps=first.steps, strength=first.strength, latent=first.latent)
        for name in ("told", "sampler", "schedule"):
            if getattr(same, name) != getattr(first, name):
                what = "model, prompts or guidance" if name == "told" else name
                self._refuse(second.node, f"has another {what} than the first pass, node {first.node}")
        own = {"steps": second.steps} | ({"seed": self._seed(second)} if second.seed != first.seed else {})
        return first, {"upscaler": self._upscaler(second.latent), **self._strength(second), **own}

    def _upscaler(self, latent: v.Latent) -> str:
        enlarged = latent.image if isinstance(latent, v.Encoded) else latent
        if isinstance(enlarged, v.Resized) and isinstance(enlarged.inner, v.Enlarged):
            enlarged = enlarged.inner
        if isinstance(enlarged, v.Enlarged):
            self._files.append(Needed(kind="upscaler", name=enlarged.model))
            return enlarged.model
        if not isinstance(enlarged, v.Resized):
            raise Missing
        if enlarged.method not in _METHODS:
            self._refuse(enlarged.node, f"upscale_method {enlarged.method!r} is not known here")
        elif isinstance(latent, v.Resized):
            self._warn(enlarged.node, "enlarges latents, and here pictures are enlarged: pixels will differ")
        return _METHODS.get(enlarged.method, "lanczos")

    def _scale(self, latent: v.Latent, start: Mapping[str, Any]) -> float:
        """Return by how much the second pass is larger."""
        enlarged = latent.image if isinstance(latent, v.Encoded) else latent
        factor = 1.0
        if isinstance(enlarged, v.Resized):
            factor = self._factor(enlarged, start)
            if enlarged.factor is None or not isinstance(enlarged.inner, v.Enlarged):
                return factor
            enlarged = enlarged.inner
        return factor * self._model_factor(enlarged) if isinstance(enlarged, v.Enlarged) else factor

    def _factor(self, resized: v.Resized[Any], start: Mapping[str, Any]) -> float:
        """Return by how much a picture of the first pass's size is enlarged."""
        if resized.factor is not None:
            return resized.factor
        width, height = float(start.get("width", 0)), float(start.get("height", 0))
        if not width or not height:
            self._refuse(resized.node, "a size of its own, of a picture whose size only its file knows")
            return 1.0
        if not resized.width and not resized.height:
            return 1.0
        across, down = resized.width / width, resized.height / height
        if resized.width and resized.height and across != down:
            self._refuse(
                resized.node, f"{resized.width}x{resized.height} has other proportions than {width:g}x{height:g}"
            )
        return across or down

    def _model_factor(self, enlarged: v.Enlarged) -> float:
        times = _TIMES.search(enlarged.model.rsplit("/", 1)[-1].replace("_", " "))
        if times is None:
            self._refuse(enlarged.node, f"nothing says by how much {enlarged.model!r} enlarges")
            return 1.0
        factor = float(times[1] or times[2])
        self._warn(enlarged.node, f"{enlarged.model!r} enlarges {factor:g} times, by its name")
        return factor

    def _times(
        self,
        upscale: tuple[v.Enlarged, v.Resized[v.Image] | None],
        start: Mapping[str, Any],
        hires: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        """Return the field `upscale`; without a scale it is the model's own."""
        enlarged, resized = upscale
        self._files.append(Needed(kind="upscaler", name=enlarged.model))
        if resized is None:
            return {"model": enlarged.model}
        if resized.factor is not None:
            return {"model": enlarged.model, "scale": resized.factor * self._model_factor(enlarged)}
        before = {side: start.get(side, 0) * (hires["scale"] if hires else 1) for side in ("width", "height")}
        return {"model": enlarged.model, "scale": self._factor(resized, before)}


def placed(recipe: Mapping[str, Any], index: int, batch: int) -> Mapping[str, Any]:
    """Return the recipe of picture `index` of a batch, which has one seed and draws its noise for all at once."""
    sampler = SAMPLERS.get(str(recipe.get("sampler")))
    found = {**recipe, "noise_index": index} if index else recipe
    if sampler is None or not sampler.stochastic or batch == index + 1:
        return found
    return {**found, "noise_rows": batch}


def _begun(latent: v.Latent) -> v.Latent | None:
    """Return the latents of a first pass that `latent` was made of; None if it was made of none."""
    if isinstance(latent, v.Resized):
        return latent.inner if isinstance(latent.inner, v.Sampled | v.Picked) else None
    if not isinstance(latent, v.Encoded) or latent.mask is not None:
        return None
    image = latent.image
    while isinstance(image, v.Resized | v.Enlarged):
        image = image.inner
    return image.latent if isinstance(image, v.Decoded) and image is not latent.image else None
