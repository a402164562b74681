"""From resolved parts to jobs: what they name is found, and second passes are put behind first ones."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Final

from batchgen.errors import ManifestError, ModelError, unknown_name
from batchgen.job import File, Job, Lora, Model, Stage
from batchgen.models.families import FAMILIES
from batchgen.parts import UNSAMPLED, Canvas, Motion, Start, Text, check_field
from batchgen.plan.dimensions import Option
from batchgen.plan.fields import Confs
from batchgen.plan.resolve import Parts
from batchgen.plan.sweep import label
from batchgen.wishes import RESAMPLERS, Adapter, Adapters, From, Hires, Upscale

_TAG: Final = re.compile(r"<lora:([^:<>]+)((?::[^:<>]*)*)>")
"""`<lora:name:0.8>`, `<lora:name:TEXT:DENOISER>`, `<lora:name:te=0.5:unet=0.8>`, as A1111 has it."""
_EMBEDDING: Final = re.compile(r"\bembedding:([\w./-]*\w)")
"""`embedding:name`, as ComfyUI has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ordered:
    """What one cell orders: everything of its job that is not a file."""

    parts: Parts
    text: Text
    seed: int
    model: Model
    first: Job | None = None
    """The job whose picture it begins with, where it begins with one."""


class Maker:
    """Makes jobs; each file is looked for once."""

    def __init__(self, confs: Confs) -> None:
        """Find files by `confs`."""
        self._beside = confs.beside

    def job(self, ordered: Ordered) -> Job:
        """Return the job of a cell: the last one, with what it builds on inside.

        Raises:
            ModelError: an adapter, an autoencoder or an upscaler is not here, or does not fit.
            ManifestError: a picture is not here, or what was ordered makes no sense together.
        """
        parts = ordered.parts
        named = "<lora:" in ordered.text.prompt or self._embeddings(ordered.text)
        if not (parts.wishes or parts.start.mask_alpha or named):
            return self._plain(ordered)
        job = self._beginning(self._dressed(self._plain(ordered), parts), ordered)
        if isinstance(hires := parts.wishes.get("hires"), Hires):
            job = self._second_pass(job, hires)
        if isinstance(upscale := parts.wishes.get("upscale"), Upscale):
            job = self.upscaled(job, upscale)
        return job

    def _plain(self, ordered: Ordered) -> Job:
        parts = ordered.parts
        return Job(
            model=ordered.model,
            text=ordered.text,
            canvas=parts.canvas,
            sampling=parts.sampling,
            seed=ordered.seed,
            numerics=parts.numerics,
            noise=parts.noise,
            motion=parts.motion,
        )

    def _dressed(self, job: Job, parts: Parts) -> Job:
        """Add adapters, autoencoder and embeddings."""
        prompt, asked = _asked(job.text, parts)
        for trigger in (each.trigger for each in asked if each.trigger and each.trigger not in prompt):
            prompt = f"{prompt}, {trigger}" if prompt else trigger
        vae = parts.wishes.get("vae")
        text = replace(job.text, prompt=prompt)
        return replace(
            job,
            text=text,
            loras=tuple(self._loras(asked, job.model)),
            vae=self._beside.file("vae", vae) if isinstance(vae, str) else None,
            embeddings=tuple(dict.fromkeys(self._beside.file("embedding", name) for name in self._embeddings(text))),
        )

    def _embeddings(self, text: Text) -> list[str]:
        """Return the embeddings that the prompts name, sorted; with A1111's emphasis a name alone is one."""
        if text.emphasis == "none":
            return []
        words = f"{text.prompt}\n{text.negative_prompt}"
        found = set(_EMBEDDING.findall(words))
        return sorted(found | set(self._bare.findall(words)) if text.emphasis == "a1111" else found)

    @cached_property
    def _bare(self) -> re.Pattern[str]:
        names = sorted(map(re.escape, self._beside.embedding_names()), key=len, reverse=True)
        return re.compile(rf"(?<!\w)(?:{'|'.join(names) or '(?!)'})(?!\w)", re.IGNORECASE)

    def misfit(self, ordered: Ordered) -> str | None:
        """Say why an adapter that a cell orders does not fit its model; None if all do."""
        _, asked = _asked(ordered.text, ordered.parts)
        problems = (self._beside.misfit(self._beside.file("lora", each.name), ordered.model) for each in asked)
        return next((problem for problem in problems if problem), None)

    def _loras(self, asked: Iterable[Adapter], model: Model) -> Iterator[Lora]:
        for each in asked:
            file = self._beside.file("lora", each.name)
            if problem := self._beside.misfit(file, model):
                raise ModelError(problem)
            clip_scale = each.scale if each.clip_scale is None else each.clip_scale
            yield Lora(file=file, scale=each.scale, clip_scale=clip_scale)

    def _beginning(self, job: Job, ordered: Ordered) -> Job:
        """Add the picture to begin with, and the mask."""
        wishes, start = ordered.parts.wishes, ordered.parts.start
        image, mask = wishes.get("init_image"), wishes.get("mask_image")
        if not isinstance(image, str) and ordered.first is None:
            if mask is not None or start.mask_alpha:
                raise ManifestError("mask_image: there is no init_image that it could be a mask of")
            return job
        source = self._beside.picture(Path(str(image))) if ordered.first is None else _stage(ordered.first, image)
        masked = self._beside.picture(Path(mask)) if isinstance(mask, str) else None
        if masked is None and not start.mask_alpha:
            start = Start(strength=start.strength, resize=start.resize, resize_filter=start.resize_filter)
        return replace(job, start=start, init_image=source, mask_image=masked)

    def _second_pass(self, first: Job, hires: Hires) -> Job:
        canvas = _enlarged(first.canvas, hires.scale, FAMILIES[first.model.family].multiple)
        start = Start(strength=hires.strength)
        source = first
        if hires.upscaler in RESAMPLERS:
            start = replace(start, resize_filter=check_field("resize_filter", hires.upscaler))
        else:
            source = upscaling(Stage(job=first), self._beside.upscaler(hires.upscaler), canvas)
        sampling = replace(first.sampling, steps=hires.steps or first.sampling.steps)
        stage = Stage(job=source)
        seed = first.seed if hires.seed is None else hires.seed
        second = replace(first, canvas=canvas, sampling=sampling, start=start, seed=seed)
        return replace(second, init_image=stage, mask_image=None)

    def upscaled(self, job: Job, upscale: Upscale) -> Job:
        """Return the job that makes the picture of `job` larger."""
        model = self._beside.upscaler(upscale.model)
        scale = upscale.scale or self._beside.upscaling(model)
        return upscaling(Stage(job=job), model, _enlarged(job.canvas, scale, 1))


def instead(
    wish: From, options: Sequence[Sequence[Option]], digits: Sequence[int], wheres: Sequence[str | None]
) -> tuple[int, ...]:
    """Return the place with the option that `wish` names, in the bundle whose option wishes it.

    Args:
        wish: Where to begin.
        options: Of each dimension.
        digits: The place of the option that wishes it.
        wheres: Where each dimension is written, and the prompt.

    Raises:
        ManifestError: there is no such option, or it is not a bundle's option that wishes.
    """
    for i, row in enumerate(options):
        if row[digits[i]].sets.get("init_image") == wish:
            for digit, option in enumerate(row):
                if wish.option in option.coordinates:
                    return (*digits[:i], digit, *digits[i + 1 :])
            known = [label(value) for option in row for value in option.coordinates]
            raise ManifestError(f"init_image: {unknown_name('option', wish.option, known)}", where=wheres[i])
    message = f"init_image: {{from: {wish.option}}} stands in an option of a bundle, beside the option it names"
    raise ManifestError(message, where=wheres[-1])


def _stage(first: Job, wish: object) -> Stage:
    """Return what a job begins with of what `first` makes: its picture, or the frame of its clip that is wished.

    Raises:
        ManifestError: there is no such frame.
    """
    frame = wish.frame if isinstance(wish, From) else None
    if not first.clip:
        if frame is not None:
            raise ManifestError(f"init_image: {wish} is no frame: a picture is made there, and no clip")
        return Stage(job=first)
    most = first.motion.frames
    number = frame if isinstance(frame, int) else {"first": 1}.get(frame or "last", most)
    if number > most:
        raise ManifestError(f"init_image: {wish}: that clip has {most} frames")
    return Stage(job=first, frame=number)


def upscaling(source: File | Stage, model: Model, canvas: Canvas) -> Job:
    """Return the job by which an upscaler makes `source`, a picture or all frames of a clip, as large as `canvas`."""
    return Job(
        model=model,
        text=Text(prompt=""),
        canvas=canvas,
        sampling=UNSAMPLED,
        seed=0,
        motion=source.motion if isinstance(source, Stage) else Motion(),
        init_image=source,
    )


def enlarged(width: int, height: int, scale: float, multiple: int = 1) -> Canvas:
    """Return the canvas of a picture made `scale` times as large, its sides the nearest multiples of `multiple`.

    Raises:
        ValueError: no picture may be so large, or so small.
    """
    wide, high = (max(multiple, round(side * scale / multiple) * multiple) for side in (width, height))
    try:
        return Canvas(width=check_field("width", wide), height=check_field("height", high))
    except ValueError as error:
        message = f"{width}x{height} made {scale:g} times as large is {wide}x{high}; say another scale ({error})"
        raise ValueError(message) from error


def _enlarged(canvas: Canvas, scale: float, multiple: int) -> Canvas:
    try:
        return enlarged(canvas.width, canvas.height, scale, multiple)
    except ValueError as error:
        raise ManifestError(str(error)) from error


def _asked(text: Text, parts: Parts) -> tuple[str, tuple[Adapter, ...]]:
    """Return the prompt without tags, and the adapters that are at work: wished ones, then those of tags."""
    prompt, tagged = (text.prompt, ()) if text.emphasis == "none" else _without_tags(text.prompt)
    wished, factor = parts.wishes.get("loras"), parts.wishes.get("lora_scale", 1.0)
    asked = (*(wished.each if isinstance(wished, Adapters) else ()), *tagged)
    return prompt, tuple(_at_work(asked, float(factor) if isinstance(factor, int | float) else 1.0))


def _at_work(asked: Iterable[Adapter], factor: float) -> Iterator[Adapter]:
    """Yield adapters with their scales times `factor`; where both are 0, it is the picture without it and its words."""
    for each in asked:
        scale = each.scale * factor
        clip_scale = scale if each.clip_scale is None else each.clip_scale * factor
        if scale or clip_scale:
            yield replace(each, scale=scale, clip_scale=clip_scale)


def _without_tags(prompt: str) -> tuple[str, tuple[Adapter, ...]]:
    """Return a prompt without its `<lora:...>`, and what those ask for.

    >>> _without_tags("a fox <lora:grain:0.8>")
    ('a fox', (Adapter(name='grain', scale=0.8, clip_scale=0.8, trigger=None),))
    """
    if "<lora:" not in prompt:
        return prompt, ()
    found = tuple(_tagged(match[1], match[2]) for match in _TAG.finditer(prompt))
    return _TAG.sub("", prompt).strip(), found


def _tagged(name: str, rest: str) -> Adapter:
    positions, said = ["te", "unet"], {}
    for part in rest.split(":")[1:]:
        key, equals, value = part.rpartition("=")
        key = key if equals else (positions.pop(0) if positions else "dyn")
        try:
            said[key.strip()] = float(value)
        except ValueError:
            raise ManifestError(f"<lora:{name}{rest}>: {value!r} is no number") from None
    if unknown := said.keys() - {"te", "unet"}:
        raise ManifestError(f"<lora:{name}{rest}>: {', '.join(sorted(unknown))} is not done here; te and unet are")
    clip_scale = said.get("te", said.get("unet", 1.0))
    return Adapter(name=name, scale=said.get("unet", clip_scale), clip_scale=clip_scale)
