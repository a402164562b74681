"""A recipe -> the API graph with which ComfyUI makes the same picture, where one can say it."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any, Final, NoReturn

from batchgen.errors import UsageError
from batchgen.interop.comfyui import OURS, OURS_FIELDS
from batchgen.interop.imported import RESAMPLING, Imported, stem

_METHODS: Final = {"nearest": "nearest-exact", **{name: name for name in RESAMPLING[1:]}}
_WEIGHTS: Final = ".safetensors"
_NOT_THERE: Final = ("mask_blur", "mask_padding")
"""Fields of a masked picture that no node of ComfyUI's own has."""
_FLUX_SHIFTS: Final = {"max_shift": 1.15, "base_shift": 0.5}

Value = list[Any]
"""An output of a node: its id and which one."""


def comfyui_graph(found: Imported, *, flux: bool = False) -> dict[str, Any]:
    """Return the API graph of a picture.

    ComfyUI truncates when it saves, and chooses precision and tiles itself. What the recipe says of these stands with
    the saver under `_meta`, where ComfyUI looks for nothing and an import finds it.

    Args:
        found: As `own.read_record` returns it.
        flux: The model is a FLUX, whose noise levels depend on the picture's size.

    Raises:
        UsageError: a field that no graph of ComfyUI's own nodes can say; which.
    """
    if found.refused:
        raise UsageError(f"no ComfyUI graph: {found.refused[0]}", where=found.source)
    return _Writing(found, flux=flux).graph()


class _Writing:
    def __init__(self, found: Imported, *, flux: bool) -> None:
        self._found = found
        self._recipe = found.recipe
        self._flux = flux
        self._nodes: dict[str, Any] = {}

    def _fail(self, name: str, reason: str) -> NoReturn:
        raise UsageError(f"no ComfyUI graph says {name}: {reason}", where=self._found.source)

    def _add(self, kind: str, **inputs: Any) -> str:
        node = str(len(self._nodes) + 1)
        self._nodes[node] = {"class_type": kind, "inputs": inputs, "_meta": {"title": kind}}
        return node

    def graph(self) -> dict[str, Any]:
        self._check()
        model, clip, vae = self._weights()
        positive = self._text("prompt", clip)
        negative = self._text("negative_prompt", clip)
        if (guidance := self._recipe.get("distilled_guidance")) is not None:
            positive = [self._add("FluxGuidance", conditioning=positive, guidance=guidance), 0]
        told = {"model": model, "positive": positive, "negative": negative}
        own = {"seed": self._recipe["seed"], "steps": self._recipe["steps"]}
        latent = self._sampled(told, self._begin(vae), **own, denoise=self._recipe.get("strength", 1.0))
        if self._batch > 1:
            index = self._recipe.get("noise_index", 0)
            latent = [self._add("LatentFromBatch", samples=latent, batch_index=index, length=1), 0]
        image = [self._add("VAEDecode", samples=latent, vae=vae), 0]
        image = self._second_pass(told, image, vae)
        saver = self._add("SaveImage", images=self._enlarged(image), filename_prefix=self._found.name or OURS)
        own = {name: self._recipe[name] for name in OURS_FIELDS if name in self._recipe}
        self._nodes[saver]["_meta"][OURS] = own
        return self._nodes

    @property
    def _batch(self) -> int:
        """How many pictures are made under the seed, of which this is one."""
        return max(int(self._recipe.get("noise_index", 0)) + 1, int(self._recipe.get("noise_rows", 1)))

    def _check(self) -> None:
        recipe = self._recipe
        if recipe.get("emphasis", "comfy") != "comfy":
            self._fail("emphasis", f"{recipe['emphasis']!r} is not how ComfyUI reads weights")
        if recipe.get("noise", "cpu") != "cpu":
            self._fail("noise", f"{recipe['noise']!r} is not where ComfyUI takes it from")
        if recipe.get("noise_scale", "full") != "full":
            self._fail("noise_scale", "ComfyUI multiplies noise by sqrt(1 + sigma^2)")
        for name in ("prompt", "negative_prompt"):
            if "<lora:" in recipe.get(name, ""):
                self._fail(name, "a LoRA in a prompt; write it under `loras`")
        for name in _NOT_THERE:
            if recipe.get(name):
                self._fail(name, "it has no node for it")
        if self._batch > 1 and ("hires" in recipe or "init_image" in recipe):
            self._fail("noise_index", "with a second pass or a picture it is another noise")

    def _weights(self) -> tuple[Value, Value, Value]:
        if self._found.checkpoint is None or not self._found.checkpoint.name:
            self._fail("model", "the record does not name it")
        loader = self._add("CheckpointLoaderSimple", ckpt_name=_file(self._found.checkpoint.name))
        model, clip, vae = ([loader, slot] for slot in range(3))
        for lora in self._recipe.get("loras", ()):
            scale = lora.get("scale", 1.0)
            scales = {"strength_model": scale, "strength_clip": lora.get("clip_scale", scale)}
            node = self._add("LoraLoader", model=model, clip=clip, lora_name=_file(lora["name"]), **scales)
            model, clip = [node, 0], [node, 1]
        if (skip := self._recipe.get("clip_skip", 1)) > 1:
            clip = [self._add("CLIPSetLastLayer", clip=clip, stop_at_clip_layer=-skip), 0]
        if self._flux:
            sides = {"width": self._recipe["width"], "height": self._recipe["height"]}
            model = [self._add("ModelSamplingFlux", model=model, **_FLUX_SHIFTS, **sides), 0]
        if "vae" in self._recipe:
            vae = [self._add("VAELoader", vae_name=_file(self._recipe["vae"])), 0]
        return model, clip, vae

    def _text(self, name: str, clip: Value) -> Value:
        return [self._add("CLIPTextEncode", clip=clip, text=self._recipe.get(name, "")), 0]

    def _sampled(self, told: Mapping[str, Any], latent: Value, **own: Any) -> Value:
        recipe = self._recipe
        node = self._add(
            "KSampler",
            **told,
            cfg=recipe["guidance_scale"],
            sampler_name=recipe["sampler"],
            scheduler=recipe["schedule"],
            latent_image=latent,
            **own,
        )
        return [node, 0]

    def _begin(self, vae: Value) -> Value:
        recipe = self._recipe
        if "init_image" not in recipe:
            sides = {"width": recipe["width"], "height": recipe["height"]}
            return [self._add("EmptyLatentImage", **sides, batch_size=self._batch), 0]
        loaded = self._add("LoadImage", image=recipe["init_image"])
        image = [loaded, 0]
        if "width" in recipe:
            if recipe.get("resize", "crop") == "pad":
                self._fail("resize", "pictures are stretched or cropped there, not padded")
            crop = "center" if recipe.get("resize", "crop") == "crop" else "disabled"
            image = self._scaled(image, recipe.get("resize_filter", "lanczos"), recipe["width"], recipe["height"], crop)
        if "mask_image" not in recipe:
            return [self._add("VAEEncode", pixels=image, vae=vae), 0]
        return self._masked(image, vae, [loaded, 1])

    def _masked(self, image: Value, vae: Value, alpha: Value) -> Value:
        file, grow = self._recipe["mask_image"], self._recipe.get("mask_grow", 0)
        mask = alpha if file == "alpha" else [self._add("LoadImageMask", image=file, channel="red"), 0]
        if self._recipe.get("mask_content", "original") == "neutral":
            node = self._add("VAEEncodeForInpaint", pixels=image, vae=vae, mask=mask, grow_mask_by=grow)
            return [node, 0]
        if grow:
            self._fail("mask_grow", "it grows masks only with `mask_content: neutral`")
        encoded = self._add("VAEEncode", pixels=image, vae=vae)
        return [self._add("SetLatentNoiseMask", samples=[encoded, 0], mask=mask), 0]

    def _scaled(self, image: Value, method: str, width: int, height: int, crop: str = "disabled") -> Value:
        sides = {"width": width, "height": height, "crop": crop}
        return [self._add("ImageScale", image=image, upscale_method=_METHODS[method], **sides), 0]

    def _second_pass(self, told: Mapping[str, Any], image: Value, vae: Value) -> Value:
        hires = self._recipe.get("hires")
        if hires is None:
            return image
        upscaler, scale = hires.get("upscaler", "lanczos"), hires["scale"]
        if upscaler in RESAMPLING:
            method = _METHODS[upscaler]
            image = [self._add("ImageScaleBy", image=image, upscale_method=method, scale_by=scale), 0]
        else:
            image = self._scaled(self._by_model(image, upscaler), "lanczos", *self._size(scale))
        encoded = [self._add("VAEEncode", pixels=image, vae=vae), 0]
        own = {name: hires.get(name, self._recipe[name]) for name in ("seed", "steps")}
        latent = self._sampled(told, encoded, **own, denoise=hires["strength"])
        return [self._add("VAEDecode", samples=latent, vae=vae), 0]

    def _enlarged(self, image: Value) -> Value:
        upscale = self._recipe.get("upscale")
        if upscale is None:
            return image
        image = self._by_model(image, upscale["model"])
        if "scale" not in upscale:
            return image
        before = self._recipe["hires"]["scale"] if "hires" in self._recipe else 1
        return self._scaled(image, "lanczos", *self._size(before * upscale["scale"]))

    def _by_model(self, image: Value, model: str) -> Value:
        loader = self._add("UpscaleModelLoader", model_name=_file(model))
        return [self._add("ImageUpscaleWithModel", upscale_model=[loader, 0], image=image), 0]

    def _size(self, scale: float) -> tuple[int, int]:
        if "width" not in self._recipe:
            self._fail("upscale", "its scale, of a picture whose size only its file knows")
        return round(self._recipe["width"] * scale), round(self._recipe["height"] * scale)


def _file(name: str) -> str:
    """Return a name as ComfyUI lists files: with an ending."""
    return name if stem(name) != PurePosixPath(name).name else name + _WEIGHTS
