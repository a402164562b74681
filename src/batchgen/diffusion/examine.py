"""`python -m batchgen.diffusion.examine`: load the engine as a run would, and print what is there as a line of JSON."""

import json
import sys
import warnings
from importlib.metadata import version
from typing import Any

import torch

from batchgen.diffusion.engine import DiffusionEngine

_LIBRARIES = ("torch", "diffusers", "transformers", "safetensors", "accelerate")


def examine() -> dict[str, Any]:
    """Return versions and devices: `libraries`, `cuda` (what torch is built for), `gpus`, `mps`, `said` (warnings)."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        gpus = [_gpu(number) for number in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    return {
        "engine": DiffusionEngine.__name__,
        "libraries": {name: version(name) for name in _LIBRARIES},
        "cuda": torch.version.cuda or torch.version.hip,
        "gpus": gpus,
        "mps": torch.backends.mps.is_available(),
        "said": " ".join(str(each.message).split("\n")[0] for each in caught)[:300],
    }


def _gpu(number: int) -> dict[str, Any]:
    free, total = torch.cuda.mem_get_info(number)
    return {"name": torch.cuda.get_device_name(number), "free": free, "total": total}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(examine()) + "\n")
