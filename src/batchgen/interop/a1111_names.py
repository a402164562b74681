"""A1111's labels of samplers and schedules -> names here."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from batchgen.interop.a1111 import SAMPLER_LABELS
from batchgen.sampling.names import ALIASES, SAMPLERS

_SCHEDULES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "uniform": "normal",
        "normal": "normal",
        "karras": "karras",
        "exponential": "exponential",
        "sgm uniform": "sgm_uniform",
        "simple": "simple",
        "ddim": "ddim_uniform",
        "ddim uniform": "ddim_uniform",
        "beta": "beta",
        "automatic": "automatic",
    }
)
_AUTOMATIC: Final[Mapping[str, str]] = MappingProxyType(
    {
        "dpmpp_2m": "karras",
        "dpmpp_sde": "karras",
        "dpmpp_2s_ancestral": "karras",
        "dpm_2": "karras",
        "dpm_2_ancestral": "karras",
        "dpmpp_2m_sde": "exponential",
        "dpmpp_3m_sde": "exponential",
        "ddim": "ddim_uniform",
    }
)
"""The schedule that a sampler of A1111's has of its own; of any other it is the model's, which is `normal`."""

_OTHERS: Final = {"undefined": "euler"}
"""Civitai writes it, and Forge reads it as Euler."""


def _folded(label: str) -> str:
    return " ".join(label.lower().replace("_", " ").split())


_SAMPLERS: Final[Mapping[str, str]] = MappingProxyType(
    {_folded(name): name for name in SAMPLERS}
    | {_folded(label): sampler for label, (sampler, schedule) in ALIASES.items() if schedule is None}
    | {_folded(label): name for name, label in SAMPLER_LABELS.items() if name in SAMPLERS}
    | _OTHERS
)


def schedule_of(label: str) -> str | None:
    """Return the schedule of a label, `automatic` for the sampler's own; None if there is no such schedule here."""
    return _SCHEDULES.get(_folded(label))


def automatic(sampler: str) -> str:
    """Return the schedule that A1111 takes where `Automatic` is chosen."""
    return _AUTOMATIC.get(sampler, "normal")


def sampler_of(label: str) -> tuple[str | None, str | None]:
    """Return the sampler of a label, and the schedule if the label ends with one, as before A1111 1.9.

    >>> sampler_of("DPM++ 2M Karras"), sampler_of("Euler a"), sampler_of("Restart")
    (('dpmpp_2m', 'karras'), ('euler_ancestral', None), (None, None))
    """
    folded = _folded(label)
    if folded in _SAMPLERS:
        return _SAMPLERS[folded], "simple" if folded == "undefined" else None
    for ending, schedule in _SCHEDULES.items():
        if folded.endswith(f" {ending}") and (sampler := _SAMPLERS.get(folded.removesuffix(ending).strip())):
            return sampler, schedule
    return None, None
