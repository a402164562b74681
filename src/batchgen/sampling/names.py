"""What samplers, schedules and recipe fields are called, here and elsewhere.

Nothing is computed here and numpy is not imported: `batchgen plan` reads this module to refuse a wrong name before
anything is loaded. The words of other programs are a table, not nearest spelling, because `Euler a` resembles `euler`
and means something else.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from batchgen.errors import ModelError, UsageError, unknown_name


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampler:
    """An algorithm that takes the steps."""

    name: str
    """As in ComfyUI and k-diffusion."""

    description: str
    """One line for a list that people read."""

    default_schedule: str = "normal"
    """What conf/sampler/NAME.yaml sets."""

    flow: bool = False
    """Usable with flow-matching models (FLUX)."""

    evaluations_per_step: int = 1
    """Calls of the denoiser in one step; the last step of a sampler with two takes one."""

    stochastic: bool = False
    """Draws new noise while it goes, so that more steps do not converge to one picture."""

    drops_penultimate: bool = False
    """One level more is scheduled and the last but one left out, as ComfyUI does for samplers that overshoot there."""

    last_sigma: float = 0.0
    """The level where it stops: UniPC cannot step to 0, where the log of the level is infinite."""


def _index(samplers: Iterable[Sampler]) -> Mapping[str, Sampler]:
    return MappingProxyType({sampler.name: sampler for sampler in samplers})


SAMPLERS: Mapping[str, Sampler] = _index(
    [
        Sampler(name="euler", flow=True, description="one slope a step; plain, predictable"),
        Sampler(name="euler_ancestral", stochastic=True, description="Euler with fresh noise after every step"),
        Sampler(
            name="heun",
            flow=True,
            evaluations_per_step=2,
            description="Euler corrected by a second slope; twice the time of a step",
        ),
        Sampler(
            name="dpm_2",
            flow=True,
            evaluations_per_step=2,
            drops_penultimate=True,
            description="midpoint rule in log sigma; twice the time of a step",
        ),
        Sampler(
            name="dpm_2_ancestral",
            stochastic=True,
            evaluations_per_step=2,
            drops_penultimate=True,
            description="dpm_2 with fresh noise after every step",
        ),
        Sampler(name="lms", flow=True, description="linear multistep over the last four slopes"),
        Sampler(
            name="dpmpp_2s_ancestral",
            default_schedule="karras",
            stochastic=True,
            evaluations_per_step=2,
            description="DPM-Solver++(2S) with fresh noise; twice the time of a step",
        ),
        Sampler(
            name="dpmpp_sde",
            default_schedule="karras",
            stochastic=True,
            evaluations_per_step=2,
            description="DPM-Solver++ for the stochastic equation; few steps, twice the time of a step",
        ),
        Sampler(
            name="dpmpp_2m",
            default_schedule="karras",
            description="DPM-Solver++(2M): sharp at 15 to 25 steps; a good first choice",
        ),
        Sampler(
            name="dpmpp_2m_sde",
            default_schedule="exponential",
            stochastic=True,
            description="dpmpp_2m for the stochastic equation: more detail, more steps",
        ),
        Sampler(
            name="dpmpp_3m_sde",
            default_schedule="exponential",
            stochastic=True,
            description="third order of dpmpp_2m_sde; wants 30 steps and more",
        ),
        Sampler(
            name="ddim",
            default_schedule="ddim_uniform",
            flow=True,
            description="deterministic DDIM; euler by another name",
        ),
        Sampler(name="ddpm", stochastic=True, description="the ancestral sampling of DDPM; wants many steps"),
        Sampler(
            name="uni_pc",
            flow=True,
            drops_penultimate=True,
            last_sigma=0.001,
            description="UniPC bh1: predictor and corrector at one evaluation a step; 5 to 15 steps",
        ),
        Sampler(
            name="uni_pc_bh2",
            flow=True,
            drops_penultimate=True,
            last_sigma=0.001,
            description="UniPC bh2: as uni_pc, for more steps or stronger guidance",
        ),
        Sampler(
            name="lcm",
            default_schedule="sgm_uniform",
            stochastic=True,
            description="for models distilled into consistency models: 2 to 8 steps",
        ),
        Sampler(name="deis", flow=True, description="exponential integrator with polynomial extrapolation; 10 steps"),
    ]
)
"""The samplers that fit models of many families, by name."""

COGVIDEOX_SAMPLERS: Mapping[str, Sampler] = _index(
    [
        Sampler(
            name="cogvideox_ddim",
            default_schedule="simple",
            description="CogVideoX alone: deterministic DDIM from noise alone, 50 steps",
        ),
        Sampler(
            name="cogvideox_dpm",
            default_schedule="simple",
            stochastic=True,
            description="CogVideoX alone: DPM-Solver++(2M) with fresh noise; with dynamic_guidance, 50 steps",
        ),
    ]
)
"""Samplers of CogVideoX, by name. Its first level has no signal at all, and no other sampler has a step from there."""

EVERY_SAMPLER: Mapping[str, Sampler] = MappingProxyType({**SAMPLERS, **COGVIDEOX_SAMPLERS})

SCHEDULES: tuple[str, ...] = ("normal", "karras", "exponential", "sgm_uniform", "simple", "ddim_uniform", "beta")
"""Every schedule. Their exact definitions are in `sampling.schedules`."""

FLOW_SCHEDULES: tuple[str, ...] = ("normal", "sgm_uniform", "simple", "beta")
"""Those that make sense where the noise level runs from 1 to 0 and the model brings a shift of its own."""

_MINIMUM_STEPS = MappingProxyType({"ddim_uniform": 2})
# With one step ddim_uniform starts at its last level, where nearly no noise is left: no picture comes of that.

_SAMPLER_LABELS: Mapping[str, tuple[str, ...]] = {
    "euler": ("k_euler", "EulerDiscreteScheduler", "FlowMatchEulerDiscreteScheduler"),
    "euler_ancestral": ("Euler a", "k_euler_a", "k_euler_ancestral", "EulerAncestralDiscreteScheduler"),
    "heun": ("k_heun", "HeunDiscreteScheduler", "FlowMatchHeunDiscreteScheduler"),
    "dpm_2": ("DPM2", "k_dpm_2", "KDPM2DiscreteScheduler"),
    "dpm_2_ancestral": ("DPM2 a", "k_dpm_2_a", "KDPM2AncestralDiscreteScheduler"),
    "lms": ("k_lms", "LMSDiscreteScheduler"),
    "dpmpp_2s_ancestral": ("DPM++ 2S a", "DPM++ 2S Ancestral"),
    "dpmpp_sde": ("DPM++ SDE", "dpmpp_sde_gpu", "DPMSolverSDEScheduler"),
    "dpmpp_2m": ("DPM++ 2M", "dpm++_2m", "k_dpmpp_2m", "DPMSolverMultistepScheduler"),
    "dpmpp_2m_sde": ("DPM++ 2M SDE", "dpmpp_2m_sde_gpu"),
    "dpmpp_3m_sde": ("DPM++ 3M SDE", "dpmpp_3m_sde_gpu"),
    "ddim": ("DDIMScheduler",),
    "ddpm": ("DDPMScheduler",),
    "uni_pc": ("UniPC", "UniPCMultistepScheduler"),
    "lcm": ("LCMScheduler",),
    "deis": ("DEISMultistepScheduler",),
    "cogvideox_ddim": ("CogVideoXDDIM", "CogVideoXDDIMScheduler"),
    "cogvideox_dpm": ("CogVideoXDPM", "CogVideoXDPMScheduler"),
}

_SCHEDULE_LABELS: Mapping[str, tuple[str, ...]] = {
    "karras": ("Karras",),
    "exponential": ("Exponential",),
    "sgm_uniform": ("SGM Uniform", "trailing"),
    "simple": ("Simple",),
    "normal": ("Normal", "linspace"),
    "ddim_uniform": ("DDIM Uniform", "DDIM", "leading"),
    "beta": ("Beta",),
}


def _all_aliases() -> Mapping[str, tuple[str, str | None]]:
    found: dict[str, tuple[str, str | None]] = {}
    for sampler, labels in _SAMPLER_LABELS.items():
        for label in (sampler, *labels):
            found[label] = (sampler, None)
            for schedule, endings in _SCHEDULE_LABELS.items():
                # "DPM++ 2M Karras" is A1111's older way to write both; `dpmpp_2m_karras` is others' way.
                found |= {f"{label} {ending}": (sampler, schedule) for ending in endings[:1]}
                found[f"{label}_{schedule}"] = (sampler, schedule)
    return MappingProxyType({label: names for label, names in found.items() if label not in EVERY_SAMPLER})


ALIASES: Mapping[str, tuple[str, str | None]] = _all_aliases()
"""Other programs' sampler labels, such as `DPM++ 2M Karras`: the sampler, and the schedule if the label says one."""

FIELD_ALIASES: Mapping[str, str] = MappingProxyType(
    {
        "cfg": "guidance_scale",
        "cfg_scale": "guidance_scale",
        "guidance": "guidance_scale",
        "scale": "guidance_scale",
        "distilled_cfg_scale": "distilled_guidance",
        "denoise": "strength",
        "denoising_strength": "strength",
        "scheduler": "schedule",
        "schedule_type": "schedule",
        "sampler_name": "sampler",
        "sampler_index": "sampler",
        "num_inference_steps": "steps",
        "num_steps": "steps",
        "negative": "negative_prompt",
        "text": "prompt",
        "noise_seed": "seed",
        "ckpt": "model",
        "ckpt_name": "model",
        "checkpoint": "model",
        "lora": "loras",
        "w": "width",
        "h": "height",
        "clipskip": "clip_skip",
        "image": "init_image",
        "vae.tiling": "vae_tiling",
        "enable_vae_tiling": "vae_tiling",
    }
)
"""What other programs call a field, and what it is called here."""

_USE_SEEDS = "use seeds, one for each picture (`seeds: 0..3`)"

_FIELD_HINTS: Mapping[str, str] = MappingProxyType(
    {
        "batch_size": f"{_USE_SEEDS}; runtime.batch is how many go through the model at once",
        "batch_count": _USE_SEEDS,
        "n_iter": _USE_SEEDS,
        "num_images": _USE_SEEDS,
        "num_images_per_prompt": _USE_SEEDS,
        "eta": "choose a stochastic sampler such as `euler_ancestral` instead",
    }
)


def _key(word: str) -> str:
    return " ".join(word.lower().split())


_BY_KEY: Mapping[str, tuple[str, str | None]] = {_key(label): names for label, names in ALIASES.items()}
_SCHEDULE_BY_KEY: Mapping[str, str] = {
    _key(label): name for name, labels in _SCHEDULE_LABELS.items() for label in (name, *labels)
}


def explain_sampler(word: str) -> str:
    """Say what to write for a `word` that is no sampler.

    >>> explain_sampler("DPM++ 2M Karras")
    "unknown sampler 'DPM++ 2M Karras'; here it is sampler: dpmpp_2m with schedule: karras"
    >>> explain_sampler("Euler a")
    "unknown sampler 'Euler a'; here it is sampler: euler_ancestral"
    """
    if _key(word) in EVERY_SAMPLER:
        return f"unknown sampler {word!r}; here it is sampler: {_key(word)}"
    if _key(word) not in _BY_KEY:
        return unknown_name("sampler", word, EVERY_SAMPLER)
    sampler, schedule = _BY_KEY[_key(word)]
    both = f" with schedule: {schedule}" if schedule else ""
    return f"unknown sampler {word!r}; here it is sampler: {sampler}{both}"


def explain_schedule(word: str) -> str:
    """Say what to write for a `word` that is no schedule.

    >>> explain_schedule("SGM Uniform")
    "unknown schedule 'SGM Uniform'; here it is schedule: sgm_uniform"
    """
    if _key(word) in _SCHEDULE_BY_KEY:
        return f"unknown schedule {word!r}; here it is schedule: {_SCHEDULE_BY_KEY[_key(word)]}"
    return unknown_name("schedule", word, SCHEDULES)


def explain_field(word: str, known: Collection[str]) -> str:
    """Say what to write for a `word` that is none of the `known` fields.

    >>> explain_field("cfg", ["guidance_scale", "steps"])
    "unknown field 'cfg'; here it is 'guidance_scale'"
    """
    key = _key(word).replace(" ", "_").replace("-", "_")
    if key in _FIELD_HINTS:
        return f"unknown field {word!r}; {_FIELD_HINTS[key]}"
    meant = FIELD_ALIASES.get(key, key)
    if meant in known:
        return f"unknown field {word!r}; here it is {meant!r}"
    return unknown_name("field", word, known)


def check_sampling(
    sampler: str, schedule: str, *, steps: int | None = None, flow: bool = False, cogvideox: bool = False
) -> None:
    """Refuse by name what cannot be rendered, before anything is loaded.

    Args:
        sampler: The algorithm.
        schedule: The spacing of noise levels.
        steps: Denoising steps, if they are known already.
        flow: Whether the model is a flow-matching one, such as FLUX.
        cogvideox: Whether it is a CogVideoX.

    Raises:
        UsageError: a name is unknown, or the schedule needs more steps.
        ModelError: the model cannot use this sampler or schedule.
    """
    if sampler not in EVERY_SAMPLER:
        raise UsageError(explain_sampler(sampler))
    if schedule not in SCHEDULES:
        raise UsageError(explain_schedule(schedule))
    least = _MINIMUM_STEPS.get(schedule, 1)
    if steps is not None and steps < least:
        message = f"steps: schedule {schedule!r} needs at least {least}, not {steps}"
        raise UsageError(message)
    if cogvideox or sampler in COGVIDEOX_SAMPLERS:
        _check_cogvideox(sampler, schedule, cogvideox=cogvideox)
    elif flow:
        _check_flow(sampler, schedule)


def _check_cogvideox(sampler: str, schedule: str, *, cogvideox: bool) -> None:
    if not cogvideox:
        message = f"sampler {sampler!r} is for CogVideoX alone; any other is for this model"
        raise ModelError(message)
    if sampler not in COGVIDEOX_SAMPLERS:
        known = ", ".join(sorted(COGVIDEOX_SAMPLERS))
        message = f"sampler {sampler!r} is not for CogVideoX, which begins with noise alone; use one of {known}"
        raise ModelError(message)
    if schedule != "simple":
        message = f"schedule {schedule!r} is not for CogVideoX, which was trained for one spacing; use simple"
        raise ModelError(message)


def _check_flow(sampler: str, schedule: str) -> None:
    usable = [each.name for each in SAMPLERS.values() if each.flow]
    if sampler not in usable:
        message = f"sampler {sampler!r} is not for flow-matching models; use one of {', '.join(sorted(usable))}"
        raise ModelError(message)
    if schedule not in FLOW_SCHEDULES:
        known = ", ".join(sorted(FLOW_SCHEDULES))
        message = f"schedule {schedule!r} is not for flow-matching models; use one of {known}"
        raise ModelError(message)
