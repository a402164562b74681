"""Where the parts of a model are while they are not needed: on the device, or out of the way."""

from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Literal

import torch
from torch import nn

Memory = Literal["full", "encode_first", "offload", "sequential"]


class Residence:
    """The modules of one model, and which of them are on the device.

    `full` keeps all of them there. With `encode_first` the text encoders are there only while a prompt is encoded.
    With `offload` one stage is there at a time. With `sequential` the autoencoder is,
    which is small, and of the others one layer at a time: slowest, and least memory.
    """

    def __init__(self, modules: Mapping[str, nn.Module], device: torch.device, memory: Memory) -> None:
        """Move those modules to the device that stay there."""
        self._modules = modules
        self._device = device
        self._sequential = memory == "sequential"
        self._settled = frozenset(name for name in modules if _stays(name, memory))
        if self._sequential:
            for name in modules.keys() - self._settled:
                _stream_layers(modules[name], device)
        for name in self._settled:
            modules[name].to(device)

    def bring(self, names: Iterable[str]) -> None:
        """Have these modules on the device, and those that do not live there out of the way."""
        if self._sequential:
            return
        wanted = set(names)
        for name in self._modules.keys() - self._settled - wanted:
            self._modules[name].to("cpu")
        for name in wanted:
            self._modules[name].to(self._device)


def _stays(name: str, memory: Memory) -> bool:
    if memory == "encode_first":
        return not name.startswith("text_encoder")
    return memory == "full" or (memory == "sequential" and name == "vae")


def _stream_layers(module: nn.Module, device: torch.device) -> None:
    # Imported here because it costs a second, and few machines need it.
    import_module("accelerate").cpu_offload(module, execution_device=device, offload_buffers=True)
