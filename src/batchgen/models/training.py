"""How a model was trained, by its scheduler's configuration: told before a gigabyte is hashed or read."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from batchgen.errors import ModelError
from batchgen.models.families import Family
from batchgen.models.folder import INDEX, read_index, read_json
from batchgen.sampling.schedules import training_table

SCHEDULER = "scheduler/scheduler_config.json"
"""Where a diffusers folder keeps it."""


def check_training(folder: Path, family: Family) -> None:
    """Refuse a model whose noise or whose prediction no sampler here can work with.

    Raises:
        ModelError: naming the folder of the configuration, and the value in it.
    """
    config = read_json(folder / SCHEDULER)
    if (read_index(folder).get("transformer_2") or [None])[-1]:  # Wan 2.2 A14B: one for much noise, one for little
        text = "has two denoisers (transformer_2), and batchgen renders with one"
        raise ModelError(text, where=str(folder / INDEX))
    if family.flow:  # noise and picture are mixed evenly, and its velocity is predicted: nothing to choose
        return
    try:
        if not family.cogvideox:  # whose own schedulers know every way to spread noise, no signal at all among them
            training_table(config)
        prediction_of(config)
    except ModelError as error:
        raise ModelError(error.message, where=str((folder / SCHEDULER).parent)) from error
    except (TypeError, ValueError) as error:
        raise ModelError(f"holds a value of a wrong type: {error}", where=str(folder / SCHEDULER)) from error


def prediction_of(config: Mapping[str, Any]) -> Literal["epsilon", "v_prediction"]:
    """Return what the denoiser predicts: the noise, or the velocity of arXiv:2202.00512.

    Raises:
        ModelError: it predicts something else.
    """
    found = config.get("prediction_type", "epsilon")
    if found not in ("epsilon", "v_prediction"):
        message = f"scheduler_config.json: prediction_type {found!r} is not supported; epsilon and v_prediction are"
        raise ModelError(message)
    return "epsilon" if found == "epsilon" else "v_prediction"
