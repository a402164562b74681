"""A1111's `parameters` text -> recipe fields.

Every key is honoured, known to change no pixel, or refused by its name; none is dropped in silence. A1111 draws its
noise on the GPU unless the text says otherwise, reads emphasis in its own way, and truncates to bytes.
"""

import json
import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from batchgen.interop import a1111_names as names
from batchgen.interop.a1111_own import own_adapters, own_beginning, own_fields
from batchgen.interop.a1111_prompts import adapters, beyond
from batchgen.interop.a1111_text import split
from batchgen.interop.imported import RESAMPLING, Findings, Imported, Needed, Unreadable, frozen, posix
from batchgen.sampling.names import SAMPLERS

_SAYS_NOTHING: Final = frozenset(
    {
        "Version", "User", "Created Date", "Template", "Negative Template", "Civitai resources", "Civitai metadata",
        "Cache FP16 weight for LoRA", "RNG", "Emphasis", "VAE hash", "Lora hashes", "TI hashes",
        "Hashes", "Model", "Model hash", "Clip skip", "SGM noise multiplier",
    }
)  # fmt: skip
"""Keys that change no pixel, or that are read for themselves."""

_NEUTRAL: Final[Mapping[str, tuple[str, ...]]] = {
    "Variation seed strength": ("0",),
    "Seed resize from": ("0x0", "-1x-1"),
    "Face restoration": ("false",),
    "Tiling": ("false",),
    "FP8 weight": ("disable",),
    "Token merging ratio": ("0",),
    "Token merging ratio hr": ("0",),
    "NGMS": ("0",),
    "ENSD": ("0",),
    "First pass size": ("0x0",),
    "Eta": ("1",),
    "Eta DDIM": ("0",),
    "Sigma churn": ("0",),
    "Sigma tmin": ("0",),
    "Sigma tmax": ("0", "inf"),
    "Sigma noise": ("1",),
    "Schedule min sigma": ("0",),
    "Schedule max sigma": ("0",),
    "Schedule rho": ("0", "7"),
    "Beta schedule alpha": ("0.6",),
    "Beta schedule beta": ("0.6",),
    "Discard penultimate sigma": ("false",),
    "Skip Early CFG": ("0",),
    "Noise Schedule": ("default",),
    "VAE Encoder": ("full",),
    "VAE Decoder": ("full",),
    "Diffusion in Low Bits": ("automatic",),
    "Noise multiplier": ("1",),
    "Extra noise": ("0",),
    "UniPC variant": ("bh1",),
    "UniPC skip type": ("time_uniform",),
    "UniPC order": ("3",),
    "UniPC lower order final": ("true",),
    "Hires checkpoint": ("use same checkpoint",),
    "Hires sampler": ("use same sampler",),
    "Hires schedule type": ("use same scheduler",),
    "Hires prompt": ("",),
    "Hires negative prompt": ("",),
    "Hires Module 1": ("use same choices", "built-in"),
}
"""Values with which a key changes nothing; with any other it is refused."""

_NEARLY: Final = frozenset({"Pad conds", "Pad conds v0", "Downcast alphas_cumprod", "Module"})
"""What changes pixels a little, or names a part that the model here brings itself: said, not refused."""

_NOISE: Final = {"gpu": "nv", "nv": "nv", "cpu": "cpu"}
_EMPHASIS: Final = {"original": "a1111", "comfyui": "comfy", "none": "none"}
_RESAMPLING: Final = {name: name for name in RESAMPLING}
_LATENT: Final = {"latent": "bilinear", "latent (bicubic)": "bicubic", "latent (nearest-exact)": "nearest"}
_FULL_SCALE: Final = frozenset({"ddim", "uni_pc"})
"""Samplers whose latents A1111 keeps at variance 1: noise alone is all of that."""
_BROWNIAN: Final = frozenset({"dpmpp_sde", "dpmpp_2m_sde", "dpmpp_3m_sde"})
_PICTURE: Final = "begins with a picture that the text does not name"
_SIZE: Final = re.compile(r"(\d{1,5})x(\d{1,5})")


def read_parameters(text: str, source: str) -> Imported:
    """Read a `parameters` text.

    Raises:
        Unreadable: it has no line of parameters.
    """
    return _Reading(text, source).imported()


class _Reading:
    """Takes keys out of the fields; what is left over at the end was not understood."""

    def __init__(self, text: str, source: str) -> None:
        self._info = split(text)
        self._left = dict(self._info.fields)
        self._source = source
        if "Steps" not in self._left:
            reason = "SwarmUI's settings are not read" if "sui_image_params" in text else "has no line of parameters"
            raise Unreadable(reason, where=source)
        self._version = self._left.get("Version", "")
        self._own = self._version.startswith("batchgen")
        self._found = Findings()

    def imported(self) -> Imported:
        recipe = self._texts() | self._sampling() | self._size() | self._hires() | self._upscale()
        recipe |= (
            self._our_arithmetic() | own_beginning(self._take, self._number) if self._own else self._arithmetic(recipe)
        )
        vae = self._vae()
        if vae:
            recipe["vae"] = vae.name
        upscaler = (recipe.get("hires") or {}).get("upscaler"), (recipe.get("upscale") or {}).get("model")
        scalers = [Needed(kind="upscaler", name=each) for each in upscaler if each and each not in RESAMPLING]
        files = (*([vae] if vae else []), *self._adapters(recipe), *scalers)
        checkpoint = self._checkpoint()
        self._leftovers(str(recipe.get("sampler")))
        return Imported(
            source=self._source,
            recipe=frozen(recipe),
            checkpoint=checkpoint,
            files=files,
            warnings=tuple(self._found.warnings),
            refused=tuple(self._found.refused),
        )

    def _take(self, key: str) -> str | None:
        return self._left.pop(key, None)

    def _number(self, key: str, kind: Callable[[str], Any]) -> Any:
        """Take a number; None where the key is absent. A text that is none is refused."""
        text = self._take(key)
        if text is None:
            return None
        try:
            return kind(text)
        except ValueError:
            self._found.refuse(key, "is no number", said=text)
            return None

    def _texts(self) -> dict[str, Any]:
        word = self._left.get("Emphasis", "Original")
        emphasis = _EMPHASIS.get(word.lower())
        if emphasis is None:
            self._found.refuse("Emphasis", "is not known here", said=word)
        if emphasis == "a1111" and not self._own:
            for prompt in (self._info.prompt, self._info.negative_prompt):
                for what, words in beyond(prompt):
                    self._found.refuse(what, "in a prompt is not honoured here", said=words)
        if emphasis == "none" and not self._own and list(adapters(self._info.prompt)):
            self._found.refuse("Emphasis", "of none reads no <lora:...> here; write them under `loras`", said=word)
        skip = self._left.get("Clip skip", "1")
        if not skip.isdecimal() or not 1 <= int(skip) <= 12:
            self._found.refuse("Clip skip", "is no number from 1 to 12", said=skip)
            skip = "1"
        ours = len(_pairs(self._left.get("Lora hashes", ""))) if self._own else 0
        prompt, loras = own_adapters(self._info.prompt, ours)
        return {
            "prompt": prompt,
            "negative_prompt": self._info.negative_prompt,
            "emphasis": emphasis or "a1111",
            "clip_skip": int(skip),
            "loras": loras or None,
        }

    def _sampling(self) -> dict[str, Any]:
        sampler, schedule = self._sampler()
        seed = self._number("Seed", int)
        if seed is None or not 0 <= seed < 2**64:
            self._found.refuse("Seed", "is not said")
            seed = 0
        return {
            "seed": seed,
            "steps": self._number("Steps", int),
            "sampler": sampler,
            "schedule": schedule,
            "guidance_scale": self._number("CFG scale", float),
            "distilled_guidance": self._number("Distilled CFG Scale", float),
        }

    def _sampler(self) -> tuple[str | None, str | None]:
        label, said = self._take("Sampler"), self._take("Schedule type")
        if label is None:
            self._found.warn("the sampler is not said; the model's own is taken")
            return None, None
        sampler, schedule = names.sampler_of(label)
        if sampler is None:
            self._found.refuse("Sampler", "is not known here", said=label)
            return None, None
        if said is not None:
            schedule = names.schedule_of(said)
            if schedule is None:
                self._found.refuse("Schedule type", "is not known here", said=said)
        if schedule == "automatic" or (said is None and schedule is None):
            schedule = self._automatic(sampler, said)
        return sampler, schedule

    def _automatic(self, sampler: str, said: str | None) -> str:
        """Return the sampler's own schedule; before A1111 1.9 the label alone meant none."""
        usual = names.automatic(sampler)
        old = re.match(r"v(\d+)\.(\d+)", self._version)
        if said is not None or usual in ("normal", "ddim_uniform"):
            return usual
        if old and (int(old[1]), int(old[2])) < (1, 9):
            return "normal"
        if not self._version:
            self._found.warn(f"the schedule is not said; {usual}, as A1111 reads it now (before 1.9 it was normal)")
        return usual

    def _size(self) -> dict[str, Any]:
        text = self._take("Size")
        size = _SIZE.fullmatch(text or "")
        if size is None:
            self._found.warn("the size is not said; the model's own is taken")
            return {}
        return {"width": int(size[1]), "height": int(size[2])}

    def _hires(self) -> dict[str, Any]:
        strength, upscaler = self._number("Denoising strength", float), self._take("Hires upscaler")
        factor, resize = self._number("Hires upscale", float), self._take("Hires resize")
        steps = self._number("Hires steps", int)
        if resize in ("0x0", None) and not factor:
            if strength is not None:
                self._left["Denoising strength"] = str(strength)  # of image to image
            return {}
        scale = self._factor(resize) if resize not in ("0x0", None) else factor
        if strength is None or not 0 < strength <= 1:
            self._found.refuse("Hires upscale", "needs a Denoising strength from 0 to 1")
        if self._left.get("Hires CFG Scale") in (self._info.fields.get("CFG scale"), "0"):
            self._take("Hires CFG Scale")
        if self._left.get("Hires Distilled CFG Scale") == self._info.fields.get("Distilled CFG Scale"):
            self._take("Hires Distilled CFG Scale")
        hires = {"scale": scale, "upscaler": self._upscaler(upscaler), "strength": strength, "steps": steps or None}
        hires["seed"] = self._number("Hires seed", int) if self._own else None
        return {"hires": {key: value for key, value in hires.items() if value is not None}}

    def _factor(self, resize: str | None) -> float | None:
        first = _SIZE.fullmatch(self._info.fields.get("Size", ""))
        second = _SIZE.fullmatch(resize or "")
        if first and second and int(first[1]) * int(second[2]) == int(first[2]) * int(second[1]):
            return int(second[1]) / int(first[1])
        self._found.refuse("Hires resize", "has other proportions than the first pass", said=resize or "")
        return None

    def _upscaler(self, label: str | None) -> str:
        if label is None or label.lower() in _LATENT:
            latent = _LATENT[(label or "Latent").lower()]
            self._found.warn(
                f"Hires upscaler {label or 'Latent'!r} enlarges latents; here pictures are, so pixels differ"
            )
            return latent
        if label.lower().startswith("latent") or label.lower() == "none":
            self._found.refuse("Hires upscaler", "is not known here", said=label)
            return "lanczos"
        return _RESAMPLING.get(label.lower(), posix(label))

    def _arithmetic(self, recipe: Mapping[str, Any]) -> dict[str, Any]:
        word, sampler = self._left.get("RNG", "GPU"), recipe["sampler"]
        noise = _NOISE.get(word.lower())
        if noise is None:
            self._found.refuse("RNG", "is not known here", said=word)
        elif noise == "nv" and sampler in _BROWNIAN:
            self._found.warn(f"the noise in {sampler}'s steps is not that of a graphics card here; pixels will differ")
        elif noise == "cpu" and sampler and SAMPLERS[sampler].stochastic:
            noise = "cpu_continued"
        full = sampler in _FULL_SCALE or self._left.get("SGM noise multiplier", "").lower() == "true"
        return {"noise": noise or "nv", "noise_scale": "full" if full else "sigma", "rounding": "truncate"}

    def _our_arithmetic(self) -> dict[str, Any]:
        found = own_fields(self._take)
        if self._left.get("RNG") == "NV":
            found["noise"] = "nv"
        return found | {"noise_scale": "sigma" if self._left.get("SGM noise multiplier") == "False" else "full"}

    def _upscale(self) -> dict[str, Any]:
        model, scale = self._take("Postprocess upscaler"), self._number("Postprocess upscale by", float)
        if model is None:
            return {}
        return {"upscale": {"model": posix(model)} | ({"scale": scale} if scale else {})}

    def _checkpoint(self) -> Needed | None:
        name, digest = self._left.get("Model"), self._left.get("Model hash", "") or self._hashes().get("model", "")
        if self._version.startswith("f") and digest:
            # Forge's of 2024 is a hash of the file's name.
            self._found.warn("Forge's model hash is not that of the file; the checkpoint is looked for by name")
            digest = ""
        if not name and not digest:
            self._found.warn("the checkpoint is not said; the model of conf/job.yaml is taken")
            return None
        return Needed(kind="checkpoint", name=posix(name or ""), hash=digest.lower())

    def _vae(self) -> Needed | None:
        name = self._take("VAE")
        if name is None or name.lower() in ("none", "automatic"):
            return None
        digest = self._left.get("VAE hash") or self._hashes().get("vae", "")
        return Needed(kind="vae", name=posix(name), hash=digest.lower())

    def _adapters(self, recipe: Mapping[str, Any]) -> list[Needed]:
        hashes = self._hashes()
        found = [name for key in ("prompt", "negative_prompt") for name in adapters(recipe[key])]
        found += [lora["name"] for lora in recipe["loras"] or ()]
        loras = dict(_pairs(self._left.get("Lora hashes", "")))
        return [
            Needed(kind="lora", name=posix(name), hash=(loras.get(name) or hashes.get(f"lora:{name}", "")).lower())
            for name in dict.fromkeys(found)
        ] + [
            Needed(kind="embedding", name=name, hash=digest.lower())
            for name, digest in _pairs(self._left.get("TI hashes", ""))
        ]

    def _hashes(self) -> dict[str, str]:
        """Return what the key `Hashes` says: JSON with `model`, `vae`, `lora:NAME`."""
        try:
            found = json.loads(self._left.get("Hashes", "{}"))
        except (ValueError, RecursionError):
            return {}
        return {str(key): str(value) for key, value in found.items()} if isinstance(found, dict) else {}

    def _leftovers(self, sampler: str) -> None:
        if "Variation seed" in self._left and _plain(self._left.get("Variation seed strength", "1")) == "0":
            self._take("Variation seed")
        if "ENSD" in self._left and sampler in SAMPLERS and not SAMPLERS[sampler].stochastic:
            self._take("ENSD")  # it moves the seed of noise that only stochastic samplers draw
        for key, value in self._left.items():
            if key in _SAYS_NOTHING or _plain(value) in _NEUTRAL.get(key, ()):
                continue
            if re.sub(r" \d+$", "", key) in _NEARLY:
                self._found.warn(f"{key} ({value}) is not done here; pixels may differ a little")
            elif key in ("Denoising strength", "Init image hash"):
                self._found.refuse(key, _PICTURE)
            else:
                self._found.refuse(key, "is not done here", said=value)


def _plain(value: str) -> str:
    """Return a value as the table has it: `0.0` is `0`."""
    try:
        return f"{float(value):g}"
    except ValueError:
        return value.lower()


def _pairs(text: str) -> list[tuple[str, str]]:
    """Return names and hashes of `grain: 0123456789ab, ink: ...`."""
    parts = (part.rsplit(":", 1) for part in text.split(",") if ":" in part)
    return [(name.strip(), digest.strip()) for name, digest in parts]
