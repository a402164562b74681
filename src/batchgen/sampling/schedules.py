"""Noise levels: which sigmas a schedule visits, exactly as ComfyUI lists them.

A sigma is the standard deviation of the noise on a latent whose own scale is left alone ("variance exploding"); for
flow-matching models it is the share of noise in the mix, 1 to 0. Levels are float64 here; ComfyUI's are float32.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from batchgen.errors import ModelError, UsageError
from batchgen.sampling.names import SAMPLERS

Levels = NDArray[np.float64]
"""Noise levels in the order in which they are visited: falling."""

_TIE = 1e-6
# ComfyUI's nearest step is decided by float32 rounding where two are equally near, as at 499.5, the middle of many
# schedules; there it goes up.

_RHO = 7.0
# Karras et al., arXiv:2206.00364, section 3 and table 1.


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Table:
    """The noise levels a model was trained on."""

    sigmas: Levels
    """Rising, one for each training step."""

    flow_shift: float | None = None
    """For flow-matching models, how far time is bent towards noise: `a*t / (1 + (a-1)*t)`, 1 is not at all."""

    last: float | None = None
    """The level of a run before its end, to which all levels are stretched (LTX-Video); None: as they come."""

    @property
    def flow(self) -> bool:
        """Whether the model predicts the velocity from picture to noise."""
        return self.flow_shift is not None

    @property
    def times(self) -> tuple[float, float]:
        """Model time of the highest and the lowest level: a training step, or a level itself for flow."""
        if self.flow:
            return float(self.sigmas[-1]), float(self.sigmas[0])
        return float(len(self.sigmas) - 1), 0.0

    def at(self, times: Levels) -> Levels:
        """Return the levels at model `times`: between training steps even in log sigma."""
        if self.flow_shift is not None:
            return shifted(times, self.flow_shift)
        return np.exp(np.interp(times, np.arange(len(self.sigmas)), np.log(self.sigmas)))


def shifted(times: Levels, shift: float) -> Levels:
    """Bend flow time as Stable Diffusion 3 does, arXiv:2403.03206 eq. 23; FLUX's `mu` is the logarithm of `shift`."""
    return shift * times / (1.0 + (shift - 1.0) * times)


def training_table(config: Mapping[str, Any]) -> Table:
    """Read the training levels off a checkpoint's `scheduler_config.json`.

    Raises:
        ModelError: the noise was spread in a way that is not supported.
    """
    if config.get("rescale_betas_zero_snr"):
        raise ModelError("scheduler_config.json: rescale_betas_zero_snr (zero terminal SNR) is not supported")
    kept = np.cumprod(1.0 - _betas(config))
    return Table(sigmas=np.sqrt((1.0 - kept) / kept))


def _betas(config: Mapping[str, Any]) -> Levels:
    if config.get("trained_betas") is not None:
        return np.asarray(config["trained_betas"], dtype=np.float64)
    # What diffusers' classes take where a config is silent.
    low, high = float(config.get("beta_start", 0.0001)), float(config.get("beta_end", 0.02))
    count, spread = int(config.get("num_train_timesteps", 1000)), config.get("beta_schedule", "linear")
    if spread == "linear":
        return np.linspace(low, high, count)
    if spread == "scaled_linear":
        return np.linspace(math.sqrt(low), math.sqrt(high), count) ** 2
    message = f"scheduler_config.json: beta_schedule {spread!r} is not supported; linear and scaled_linear are"
    raise ModelError(message)


def flow_table(config: Mapping[str, Any], *, tokens: int, shift: float | None = None) -> Table:
    """Return the levels of a flow-matching model.

    Args:
        config: The checkpoint's `scheduler_config.json`.
        shift: How far time is bent, in place of what the checkpoint says.
        tokens: How many tokens the model makes of the latent. FLUX.1-dev bends time more for larger pictures, on a
            straight line from `base_shift` at 256 tokens to `max_shift` (1.15, ComfyUI's constant) at 4096, which is
            1024x1024.
    """
    if shift is not None or not config.get("use_dynamic_shifting"):
        own = config.get("flow_shift" if config.get("use_flow_sigmas") else "shift", 1.0)
        shift, count = shift or float(own), 1000
    else:
        few, many = config.get("base_image_seq_len", 256), config.get("max_image_seq_len", 4096)
        least, most = config.get("base_shift", 0.5), config.get("max_shift", 1.15)
        shift, count = math.exp(least + (most - least) * (tokens - few) / (many - few)), 10_000
    return Table(
        sigmas=shifted(np.arange(1, count + 1) / count, shift), flow_shift=shift, last=config.get("shift_terminal")
    )


def sigmas(schedule: str, steps: int, table: Table, *, sampler: str, strength: float | None = None) -> Levels:
    """Return the levels of a run: one more than there are steps.

    Args:
        schedule: A name of `SCHEDULES`.
        steps: Steps asked for, at least 1. `ddim_uniform` and `beta` may take a few more or fewer, as in ComfyUI.
        table: What the model was trained on.
        sampler: Decides where the run ends, and whether the last level but one is left out.
        strength: For image to image, 0 < strength <= 1. Below 1, a run of int(steps / strength) steps is laid out and
            only its last `steps` are taken, so that there are as many whatever the strength.

    Raises:
        UsageError: there are more steps than levels that the schedule could visit.
    """
    if strength is not None and strength < _FULL_STRENGTH:
        return sigmas(schedule, int(steps / strength), table, sampler=sampler)[-(steps + 1) :]
    algorithm = SAMPLERS[sampler]
    found = _SPACINGS[schedule](steps + algorithm.drops_penultimate, table)
    if (np.diff(found) >= 0).any():
        message = f"steps: schedule {schedule!r} has no {len(found)} different levels among {len(table.sigmas)}"
        raise UsageError(message)
    if algorithm.drops_penultimate:
        found = found[:-1]
    if table.last and len(found) > 1:
        found = 1.0 - (1.0 - found) * (1.0 - table.last) / (1.0 - found[-1])
    return np.append(found, algorithm.last_sigma)


_FULL_STRENGTH = 0.9999
# ComfyUI's limit from which on the picture to start from is taken as noise altogether.


def timesteps_of(levels: Levels, table: Table) -> Levels:
    """Return the time that the model is told at each of `levels`.

    Whole training steps, the nearest in log sigma; for flow 1000 times the level itself.
    """
    if table.flow:
        return levels * 1000.0
    place = np.interp(np.log(levels), np.log(table.sigmas), np.arange(len(table.sigmas)))
    return np.floor(place + 0.5 + _TIE)


def _normal(steps: int, table: Table) -> Levels:
    return table.at(np.linspace(*table.times, steps))


def _sgm_uniform(steps: int, table: Table) -> Levels:
    return table.at(np.linspace(*table.times, steps + 1)[:-1])


def _simple(steps: int, table: Table) -> Levels:
    stride = len(table.sigmas) / steps
    return table.sigmas[[-1 - int(step * stride) for step in range(steps)]]


def _ddim_uniform(steps: int, table: Table) -> Levels:
    return table.sigmas[1 :: max(len(table.sigmas) // steps, 1)][::-1]


def _karras(steps: int, table: Table) -> Levels:
    low, high = np.power(table.sigmas[[0, -1]], 1 / _RHO)
    found: Levels = np.linspace(high, low, steps) ** _RHO
    return found


def _exponential(steps: int, table: Table) -> Levels:
    return np.exp(np.linspace(math.log(table.sigmas[-1]), math.log(table.sigmas[0]), steps))


def _beta(steps: int, table: Table) -> Levels:
    """Quantiles of Beta(0.6, 0.6), dense at both ends: arXiv:2407.12173."""
    from scipy.special import betaincinv  # noqa: PLC0415 - 50 ms that the other schedules need not pay

    chances = 1.0 - np.linspace(0.0, 1.0, steps, endpoint=False)
    places = np.rint(betaincinv(0.6, 0.6, chances) * (len(table.sigmas) - 1)).astype(int)
    found: Levels = table.sigmas[places[np.diff(places, prepend=-1) != 0]]
    return found


_SPACINGS: Mapping[str, Callable[[int, Table], Levels]] = MappingProxyType(
    {
        "normal": _normal,
        "karras": _karras,
        "exponential": _exponential,
        "sgm_uniform": _sgm_uniform,
        "simple": _simple,
        "ddim_uniform": _ddim_uniform,
        "beta": _beta,
    }
)
"""Falling levels without the end, for so many steps."""
