"""A loaded model at work: a batch of jobs in, pictures out."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from batchgen.diffusion.begun import Beginnings, Begun, Entry, together
from batchgen.diffusion.bookmarks import Marking
from batchgen.diffusion.cogvideox_steps import dynamic
from batchgen.diffusion.conditioning import Encoded, Remembered, Wording
from batchgen.diffusion.decoding import Decoder
from batchgen.diffusion.denoiser import Denoiser, Predict
from batchgen.diffusion.embeddings import all_are_named
from batchgen.diffusion.loading import load_vae
from batchgen.diffusion.machine import failures_in_words, give_back_memory, name_of, resolve_precision
from batchgen.diffusion.noise import Origin, first_noise
from batchgen.diffusion.samplers import Stepper, make_stepper
from batchgen.engine import (
    FORGETFUL,
    NO_BOOKMARKS,
    Bookmarks,
    Latent,
    Latents,
    OnStep,
    Rendered,
    Runtime,
    Together,
)
from batchgen.errors import EngineError, ModelError
from batchgen.job import Job, Model
from batchgen.models.families import FAMILIES
from batchgen.parts import Start

LoadDenoiser = Callable[[Model, torch.dtype], Denoiser]

Asked = tuple[Encoded, Encoded | None]
"""What one picture shall show and, with guidance, what it shall stay away from."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Denoised:
    """Latents of a batch, and what it took."""

    latents: Tensor
    stepper: Stepper
    marking: Marking
    resumed_at: int
    """Steps that an earlier process had taken."""

    @property
    def facts(self) -> dict[str, Any]:
        """What the record says of it. A call of the model predicts for both texts, where there is guidance."""
        found: dict[str, Any] = {
            "denoiser_evaluations": self.stepper.calls,
            "steps_taken": self.stepper.steps_taken,
            "timesteps": len(self.stepper.timesteps),
            "sigmas": [rounded(sigma) for sigma in self.stepper.sigmas],
            "seconds_denoise": round(self.marking.seconds, 3),
        }
        if self.resumed_at:
            found |= {"resumed_at_step": self.resumed_at, "seconds_before": round(self.marking.before, 3)}
        if self.marking.refused:
            found["not_resumable"] = self.marking.refused
        return found


class DiffusionSession:
    """One model, ready to render."""

    def __init__(
        self, model: Model, runtime: Runtime, device: torch.device, load: LoadDenoiser, schedule: dict[str, Any]
    ) -> None:
        """Render with `model`, which `load` reads when the first batch has said in which number format."""
        self._model = model
        self._runtime = runtime
        self._device = device
        self._load = load
        self._schedule = schedule
        self._remembered = Remembered()
        self._beginnings = Beginnings()
        self._vae: tuple[tuple[str, torch.dtype], Decoder] | None = None
        self._denoiser: Denoiser | None = None
        self._unfit: tuple[str, str | None] | None = None
        self._closed = False

    def render(
        self,
        jobs: Sequence[Job],
        on_step: OnStep,
        latents: Latents = FORGETFUL,
        bookmarks: Bookmarks = NO_BOOKMARKS,
    ) -> Sequence[Rendered]:
        """Return one picture per job, in order; the jobs share `batch_key`.

        Jobs whose latents are kept are only decoded; those of the others are kept before anything is decoded.

        Raises:
            ModelError: the weights cannot be read, or do not fit their configuration.
            OutOfMemory: the batch, or the model, does not fit.
            NotFinite: a decoded picture has NaN or infinity.
            DeviceLost: the device fails from here on.
        """
        if len({job.batch_key for job in jobs}) != 1:
            raise EngineError("the jobs of a batch must share model, canvas, sampling and numerics")
        self._beginnings.forget()
        with failures_in_words():
            denoiser = self._dressed(jobs[0])
            with torch.inference_mode():
                ready = self._found(denoiser, jobs, latents)
                lacking = [place for place in range(len(jobs)) if place not in ready]
                made = self._denoised(denoiser, [jobs[place] for place in lacking], on_step, bookmarks)
                for place, latent in zip(lacking, made, strict=True):
                    latents.keep(jobs[place], latent)
                    ready[place] = latent
                rendered = self._decoded(denoiser, jobs[0], [ready[place] for place in range(len(jobs))])
                return [self._in_place(denoiser, job, picture) for job, picture in zip(jobs, rendered, strict=True)]

    def rehearse(self, jobs: Sequence[Job], on_step: OnStep) -> None:
        """Take one step with `jobs`, decode what comes of it, and throw it away; raises what `render` does."""
        with failures_in_words():
            denoiser = self._dressed(jobs[0], rehearsing=True)
            # From noise: what it will begin with may not be there yet, and needs no more memory than that.
            jobs = [replace(job, init_image=None, mask_image=None, start=Start()) for job in jobs]
            with torch.inference_mode():
                for batch, _ in self._batches(denoiser, jobs):
                    unmarked = Marking(NO_BOOKMARKS, batch.jobs, every=0.0, dtype="")
                    latents = batch.denoise(self._schedule, self._device, on_step, unmarked, most=1).latents
                    self._decoder(denoiser, jobs[0]).decode(latents, jobs[0].numerics)

    def _found(self, denoiser: Denoiser, jobs: Sequence[Job], latents: Latents) -> dict[int, Latent]:
        """Return, by place, what was denoised before, and in this precision: `auto` may have become another."""
        shape, dtype = denoiser.latent_shape(jobs[0]), name_of(denoiser.dtype)
        found = ((place, latents.find(job, shape)) for place, job in enumerate(jobs))
        return {
            place: replace(latent, facts={**latent.facts, "latent_kept": True})
            for place, latent in found
            if latent is not None and latent.facts.get("dtype") == dtype
        }

    def _denoised(self, denoiser: Denoiser, jobs: Sequence[Job], on_step: OnStep, bookmarks: Bookmarks) -> list[Latent]:
        latents: dict[int, Latent] = {}
        ids = tuple(job.id for job in jobs)
        for batch, places in self._batches(denoiser, jobs):
            every = self._runtime.checkpoint_every
            marking = Marking(bookmarks, batch.jobs, every=every, dtype=name_of(denoiser.dtype))
            denoised = batch.denoise(self._schedule, self._device, on_step, marking)
            rows = denoised.latents.float().cpu().numpy()
            shared = self._facts(batch, denoised)
            for row, place in enumerate(places):
                together = Together(ids=ids, index=place)
                latents[place] = Latent(values=rows[row], facts=shared | batch.facts_of(row), together=together)
        return [latents[place] for place in range(len(jobs))]

    def _decoded(self, denoiser: Denoiser, job: Job, latents: Sequence[Latent]) -> list[Rendered]:
        decoder = self._decoder(denoiser, job)
        rows = torch.from_numpy(np.stack([latent.values for latent in latents])).to(self._device)
        pictures = decoder.decode(rows, job.numerics)
        vae = {"vae_dtype": name_of(decoder.dtype)}
        return [
            Rendered(pixels=pixels, facts={**latent.facts, **vae, **said}, together=latent.together)
            for latent, (pixels, said) in zip(latents, pictures, strict=True)
        ]

    def _batches(self, denoiser: Denoiser, jobs: Sequence[Job]) -> Iterator[tuple["Batch", list[int]]]:
        """Yield batches whose texts are of one length, each with the places of its jobs."""
        asked = [self._ask(denoiser, job) for job in jobs]
        for places in places_by_length(asked):
            # Short of companions of its length, a picture has copies of one: its bits depend on the batch's size
            # alone, never on how long the other prompts are.
            padded = places + places[-1:] * (len(jobs) - len(places))
            begun = together([self._begins(denoiser, jobs[k]) for k in padded])
            yield Batch(denoiser, [jobs[k] for k in padded], [asked[k] for k in padded], begun), places

    def _begins(self, denoiser: Denoiser, job: Job) -> Entry | None:
        if job.init_image is None:
            return None
        return self._beginnings.of(job, self._decoder(denoiser, job), self._device)

    def _in_place(self, denoiser: Denoiser, job: Job, picture: Rendered) -> Rendered:
        """Put a picture of which a part was painted into the one that it began with."""
        entry = self._begins(denoiser, job) if job.mask_image or job.start.mask_alpha else None
        return picture if entry is None else replace(picture, pixels=entry.beginning.finished(picture.pixels))

    def _in_precision(self, precision: str) -> Denoiser:
        """Return the denoiser in the format asked for. It is read again for another: a round trip would lose bits."""
        if self._closed:
            raise EngineError("the session is closed")
        dtype = resolve_precision(precision, self._runtime, self._model.family, self._device)
        if self._denoiser is None or dtype != self._denoiser.dtype:
            self._let_go()
            self._denoiser = self._loaded(dtype)
        return self._denoiser

    def _dressed(self, job: Job, *, rehearsing: bool = False) -> Denoiser:
        """Return the denoiser in the format that `job` asks for, with its adapters beside the weights."""
        denoiser = self._in_precision(job.numerics.precision)
        masked = job.mask_image is not None or job.start.mask_alpha
        if denoiser.inpaints and not masked and not rehearsing:
            raise ModelError("is made for inpainting: it needs init_image and mask_image", where=self._model.name)
        denoiser.adapters.attach(job.loras)
        return denoiser

    def _decoder(self, denoiser: Denoiser, job: Job) -> Decoder:
        """Return the model's own autoencoder on the device, or the one that `job` names instead."""
        if job.vae is None:
            denoiser.to_decoding()
            return denoiser.decoder
        key = (job.vae.digest, denoiser.decoder.dtype)
        if self._vae is None or self._vae[0] != key:
            self._vae = None
            vae = load_vae(Path(job.vae.path), self._model.family, denoiser.decoder.dtype).to(self._device)
            self._vae = key, Decoder(vae)
        return self._vae[1]

    def _loaded(self, dtype: torch.dtype) -> Denoiser:
        """Read the model. What is wrong with its files is found once: other jobs shall not wait for the same again."""
        if self._unfit:
            message, where = self._unfit
            raise ModelError(message, where=where)
        try:
            return self._load(self._model, dtype)
        except ModelError as error:
            self._unfit = error.message, error.where
            raise

    def _ask(self, denoiser: Denoiser, job: Job) -> Asked:
        wanted = self._encoded(denoiser, job, job.text.prompt)
        if job.sampling.guidance_scale == 1:
            return wanted, None
        return wanted, self._encoded(denoiser, job, job.text.negative_prompt)

    def _encoded(self, denoiser: Denoiser, job: Job, words: str) -> Encoded:
        all_are_named(job.embeddings, job.text)
        wording = Wording(
            text=words,
            emphasis=job.text.emphasis,
            clip_skip=job.text.clip_skip,
            adapters=denoiser.adapters.reading,
            embeddings=job.embeddings,
        )
        encoded = self._remembered.get(wording)
        if encoded is None:
            encoded = denoiser.encode(wording)
            self._remembered.put(wording, encoded)
        return encoded

    def _facts(self, batch: "Batch", denoised: Denoised) -> dict[str, Any]:
        own = {
            "device": self._device.type,
            "dtype": name_of(batch.denoiser.dtype),
            "batch_size": len(batch.jobs),
            "memory": self._runtime.memory,
        }
        return denoised.facts | own | ({"loras": loras} if (loras := batch.denoiser.adapters.facts) else {})

    def _let_go(self) -> None:
        self._denoiser = self._vae = None
        self._remembered, self._beginnings = Remembered(), Beginnings()
        give_back_memory(self._device)

    def close(self) -> None:
        """Let the model go and give its memory back."""
        self._closed = True
        self._let_go()


@dataclass(frozen=True, slots=True)
class Batch:
    """Jobs that go through the denoiser together; the texts of all are of one length, the negative ones of one, too."""

    denoiser: Denoiser
    jobs: Sequence[Job]
    asked: Sequence[Asked]
    begun: Begun | None = None
    """What they begin with, if it is more than noise."""

    def denoise(
        self,
        schedule: dict[str, Any],
        device: torch.device,
        on_step: OnStep,
        marking: Marking,
        *,
        most: int | None = None,
    ) -> Denoised:
        """Take the steps from noise, or from a bookmark, to latents; or `most` of them."""
        first = self.jobs[0]
        shape = self.denoiser.latent_shape(first)
        source = None if self.begun is None else self.begun.latents
        stepper = make_stepper(
            first.sampling,
            scheduler_config=schedule,
            seeds=[_origin(job) for job in self.jobs],
            shape=shape,
            flow=FAMILIES[first.model.family].flow,
            strength=None if source is None else first.start.strength,
        )
        noise = first_noise([_origin(job) for job in self.jobs], shape).to(device)
        scale = first.noise.noise_scale
        latents = stepper.first_latent(noise, scale) if source is None else stepper.noised(source, noise, scale)
        predict = self._guided()
        mask = None if self.begun is None else self.begun.mask
        latents = marking.found(stepper, latents, None if self.begun is None else self.begun.beside)
        resumed_at = told = stepper.steps_taken
        for timestep in stepper.timesteps[stepper.calls :]:
            kept = latents
            if source is not None and mask is not None:
                kept = stepper.kept(latents, source, noise, mask)
            output = predict(stepper.model_input(kept), timestep)
            if source is not None and mask is not None:
                output = stepper.seeing(output, kept, latents, source, mask)
            latents = stepper.step(output, latents)
            if stepper.steps_taken > told:
                told = stepper.steps_taken
                on_step(told)
                marking.passed(stepper, latents)
            if told == most:
                break
        return Denoised(latents=latents, stepper=stepper, marking=marking, resumed_at=resumed_at)

    def _guided(self) -> Predict:
        """Return how to predict with guidance: uncond + w * (cond - uncond), arXiv:2207.12598.

        Both texts go through in one pass of twice as many rows, or in two passes if one is longer: where texts are
        attended to, a text must not be padded with another's length.
        """
        first = self.jobs[0]
        sampling = first.sampling

        def scale(timestep: float) -> float:
            told = sampling.guidance_scale
            return dynamic(told, sampling.steps, timestep) if sampling.dynamic_guidance else told

        wanted = [text for text, _ in self.asked]
        unwanted = [text for _, text in self.asked if text is not None]
        if not unwanted:
            return self._predictor(wanted)
        if unwanted[0].length == wanted[0].length:
            both = self._predictor([*unwanted, *wanted])

            def in_one_pass(latents: Tensor, timestep: float) -> Tensor:
                away, towards = both(torch.cat((latents, latents)), timestep).chunk(2)
                return away + scale(timestep) * (towards - away)

            return in_one_pass
        predict_away, predict_towards = self._predictor(unwanted), self._predictor(wanted)

        def in_two_passes(latents: Tensor, timestep: float) -> Tensor:
            away = predict_away(latents, timestep)
            return away + scale(timestep) * (predict_towards(latents, timestep) - away)

        return in_two_passes

    def _predictor(self, texts: Sequence[Encoded]) -> Predict:
        first = self.jobs[0]
        rows = len(texts) // len(self.jobs)
        beside = None if self.begun is None or self.begun.beside is None else torch.cat([self.begun.beside] * rows)
        return self.denoiser.predictor(texts, first, beside)

    def facts_of(self, place: int) -> dict[str, Any]:
        """Return what is to be said of one picture alone."""
        wanted, unwanted = self.asked[place]
        facts: dict[str, Any] = {
            "prompt_tokens": wanted.tokens,
            "chunks": wanted.chunks,
            "guided": unwanted is not None,
        }
        return facts if unwanted is None else facts | {"negative_prompt_tokens": unwanted.tokens}


def _origin(job: Job) -> Origin:
    return Origin(seed=job.seed, row=job.noise.noise_index, rows=job.noise.noise_rows, device=job.noise.noise)


def places_by_length(asked: Sequence[Asked]) -> list[list[int]]:
    """Group the places of a batch so that texts in a group are of equal lengths; groups as they first appear."""
    groups: dict[tuple[int, int], list[int]] = {}
    for place, (wanted, unwanted) in enumerate(asked):
        groups.setdefault((wanted.length, 0 if unwanted is None else unwanted.length), []).append(place)
    return list(groups.values())


def rounded(number: float) -> float:
    """Return the number with six significant digits: enough to recognise a schedule."""
    return float(f"{float(number):.6g}") if math.isfinite(number) else 0.0
