"""Imports spandrel, with or without torchvision.

spandrel names three functions of torchvision, in two of its forty architectures: `rotate` and
`InterpolationMode` in LaMa, `normalize` in RestoreFormer. The torchvision of the package index is
linked to CUDA and does not load beside a torch for the CPU, so batchgen does not ask for it. Where
torchvision is missing, a stand-in with these three names is there while spandrel is imported, and
gone afterwards: no other library finds it. A torchvision that is installed is always used itself.
"""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from importlib import import_module
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Final

import torch
from torch import Tensor

from batchgen.errors import ModelError

_NAMES: Final = ("torchvision", "torchvision.transforms", "torchvision.transforms.functional")


class InterpolationMode(Enum):
    """How a picture is read between its pixels: the one way that LaMa names."""

    BILINEAR = "bilinear"


def normalize(tensor: Tensor, mean: Sequence[float], std: Sequence[float]) -> Tensor:
    """Return (tensor - mean) / std, channel by channel, of pictures of shape (..., channels, height, width)."""
    centre, spread = (torch.tensor(values).to(tensor)[:, None, None] for values in (mean, std))
    return (tensor - centre) / spread


def rotate(*_arguments: object, **_options: object) -> Tensor:
    """Refuse: of LaMa, only layers that learn an angle rotate, and spandrel builds it without them.

    Raises:
        ModelError: always.
    """
    raise ModelError("this upscaler rotates pictures, for which torchvision must be installed")


def import_spandrel() -> ModuleType:
    """Return the module spandrel.

    Raises:
        ModelError: spandrel is not installed, or cannot be imported.
    """
    try:
        with _torchvision():
            return import_module("spandrel")
    except ImportError as error:
        raise ModelError(f"upscalers need spandrel (pip install 'batchgen[upscale]'): {error}") from error


@contextmanager
def _torchvision() -> Iterator[None]:
    """Serve the stand-in if there is no torchvision, and take it away again."""
    if "spandrel" in sys.modules or "torchvision" in sys.modules or find_spec("torchvision") is not None:
        yield
        return
    sys.modules.update(_stand_in())
    try:
        yield
    finally:
        for name in _NAMES:
            sys.modules.pop(name, None)


def _stand_in() -> dict[str, ModuleType]:
    """Return the three modules, each knowing the next."""
    modules = {name: ModuleType(name, __doc__) for name in _NAMES}
    for name, module in modules.items():
        module.__spec__ = ModuleSpec(name, loader=None, is_package=True)
        parent, _, child = name.rpartition(".")
        if parent:
            setattr(modules[parent], child, module)
    for part in (InterpolationMode, normalize, rotate):
        setattr(modules[_NAMES[-1]], part.__name__, part)
    return modules
