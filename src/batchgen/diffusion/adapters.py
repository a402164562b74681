"""LoRAs at work beside the layers of a loaded model (arXiv:2106.09685): attached and detached, never fused.

Each layer's output grows by scale * alpha / rank * up(down(x)), added by a hook. The weights are not touched, so that
the model without its LoRAs is the model as it was loaded, to the bit; adding to weights and subtracting again is not.
"""

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional
from torch.utils.hooks import RemovableHandle

from batchgen.errors import ModelError
from batchgen.job import Lora, Model
from batchgen.models.adapter import AdapterFacts, AdapterLayer, assigned, read_adapter, refusal
from batchgen.models.layers import Place, Shapes, matrices

KEPT = 1024 * 1024 * 1024
"""Bytes of LoRAs a model keeps in memory to switch between: some ten large ones of SDXL."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Opened:
    """A LoRA's file in memory."""

    facts: AdapterFacts
    tensors: Mapping[str, Tensor]

    @property
    def nbytes(self) -> int:
        return sum(tensor.nbytes for tensor in self.tensors.values())


@dataclass(frozen=True, slots=True, kw_only=True)
class _Factors:
    """What one LoRA adds to one layer: factor * up(mid(down(x)))."""

    down: Tensor
    mid: Tensor | None
    up: Tensor
    factor: float

    def to(self, like: Tensor) -> "_Factors":
        """Return a copy on the device and in the number format of `like`.

        A copy always: in the memory of a file, factors stand at any address, and on the address the bits depend that
        fast libraries compute.
        """

        def copied(tensor: Tensor) -> Tensor:
            return tensor.to(like.device, like.dtype, copy=True, memory_format=torch.contiguous_format)

        mid = None if self.mid is None else copied(self.mid)
        return _Factors(down=copied(self.down), mid=mid, up=copied(self.up), factor=self.factor)


class Adapters:
    """The LoRAs that are attached to a model's denoiser and text encoders, and those lately used."""

    def __init__(self, modules: Mapping[str, nn.Module], model: Model, *, keep: int = KEPT) -> None:
        """Attach to `modules`, by component name; keep at most `keep` bytes of files, but always those attached."""
        self._modules = modules
        self._model = model
        self._keep = keep
        self._opened: OrderedDict[str, _Opened] = OrderedDict()
        self._attached: tuple[Lora, ...] = ()
        self._hooks: list[RemovableHandle] = []

    def attach(self, loras: Sequence[Lora]) -> None:
        """Have exactly these LoRAs attached, in this order; those of scale 0 are none.

        Raises:
            ModelError: a file cannot be read, is no LoRA, or does not fit the model. Then none is attached.
        """
        wanted = tuple(lora for lora in loras if lora.scale or lora.clip_scale)
        if wanted == self._attached:
            return
        self.detach()
        beside: dict[nn.Module, list[_Factors]] = {}
        for lora in wanted:
            for module, factors in self._placed(lora):
                beside.setdefault(module, []).append(factors)
        self._hooks = [module.register_forward_hook(_Beside(each)) for module, each in beside.items()]
        self._attached = wanted
        self._forget()

    def detach(self) -> None:
        """Have the model as it was loaded."""
        for hook in self._hooks:
            hook.remove()
        self._hooks, self._attached = [], ()

    @property
    def reading(self) -> tuple[tuple[str, float], ...]:
        """Digest and scale of what is attached to the text encoders: texts read under another must be read again."""
        return tuple((lora.file.digest, lora.clip_scale) for lora in self._attached if self._reads(lora))

    def _reads(self, lora: Lora) -> bool:
        parts = self._opened[lora.file.digest].facts.parts
        return lora.clip_scale != 0 and any(part != "denoiser" for part in parts)

    @property
    def facts(self) -> list[dict[str, Any]]:
        """What is to be said of the attached LoRAs in a record."""
        return [
            {
                "name": lora.file.name,
                "scale": lora.scale,
                "clip_scale": lora.clip_scale,
                "layout": facts.layout,
                "ranks": list(facts.ranks),
                "layers": len(facts.layers),
            }
            for lora in self._attached
            for facts in [self._opened[lora.file.digest].facts]
        ]

    def _placed(self, lora: Lora) -> list[tuple[nn.Module, _Factors]]:
        """Return what `lora` adds, by the layers it adds it to."""
        opened = self._open(lora)
        places, wrong = assigned(opened.facts, self._shapes())
        if wrong:
            raise ModelError(refusal(opened.facts, self._model, wrong), where=str(opened.facts.path))
        found = []
        for layer, targets in places:
            scale = lora.scale if layer.part == "denoiser" else lora.clip_scale
            for place in targets if scale else ():
                module = self._modules[place.component].get_submodule(place.layer)
                found.append((module, _factors(opened.tensors, layer, place, module, scale)))
        return found

    def _open(self, lora: Lora) -> _Opened:
        digest = lora.file.digest
        if digest not in self._opened:
            facts = read_adapter(Path(lora.file.path))
            self._opened[digest] = _Opened(facts=facts, tensors=_load(facts.path))
        self._opened.move_to_end(digest)
        return self._opened[digest]

    def _forget(self) -> None:
        """Let go of what was used longest ago, until the rest is within the limit."""
        attached = {lora.file.digest for lora in self._attached}
        held = sum(opened.nbytes for opened in self._opened.values())
        for digest in [digest for digest in self._opened if digest not in attached]:
            if held > self._keep:
                held -= self._opened.pop(digest).nbytes

    def _shapes(self) -> dict[str, Shapes]:
        # Of modules that are elsewhere (accelerate keeps them on torch's "meta" device) shapes are known all the same.
        return {
            name: matrices(
                {
                    f"{inner}.weight": tuple(layer.weight.shape)
                    for inner, layer in module.named_modules()
                    if isinstance(layer, nn.Linear | nn.Conv2d)
                }
            )
            for name, module in self._modules.items()
        }


def _load(path: Path) -> dict[str, Tensor]:
    try:
        tensors: dict[str, Tensor] = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"cannot be read: {' '.join(str(error).split())[:300]}", where=str(path)) from error
    return tensors


def _factors(
    tensors: Mapping[str, Tensor], layer: AdapterLayer, place: Place, module: nn.Module, scale: float
) -> _Factors:
    """Return the factors of `layer` in the form that `module` computes with."""
    up = tensors[layer.up].flatten(1)[slice(*place.rows)]
    if place.swapped:
        up = torch.cat(up.chunk(2)[::-1])
    down, mid = tensors[layer.down], None if layer.mid is None else tensors[layer.mid]
    if isinstance(module, nn.Conv2d):
        up = up[:, :, None, None]
        down = down.reshape(len(down), module.in_channels, *(module.kernel_size if mid is None else (1, 1)))
    else:
        down = down.flatten(1)
    strength = layer.strength if layer.alpha is None else tensors[layer.alpha].item() / layer.rank
    return _Factors(down=down, mid=mid, up=up, factor=scale * strength)


class _Beside:
    """A hook on a layer that adds what LoRAs make of the layer's input to its output."""

    def __init__(self, factors: Sequence[_Factors]) -> None:
        """Add these, in order."""
        self._factors = factors
        self._ready: Sequence[_Factors] = ()

    def __call__(self, module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        """Return the output that the layer has with its LoRAs."""
        x = inputs[0].to(output.device, output.dtype)
        # They follow the layer, which may have moved since.
        if not self._ready or (self._ready[0].up.device, self._ready[0].up.dtype) != (output.device, output.dtype):
            self._ready = [factors.to(output) for factors in self._factors]
        for factors in self._ready:
            output = torch.add(output, _narrow(module, x, factors), alpha=factors.factor)
        return output


def _narrow(module: nn.Module, x: Tensor, factors: _Factors) -> Tensor:
    """Return up(mid(down(x))); of a convolution, the first factor with its kernel moves as the layer itself does."""
    if not isinstance(module, nn.Conv2d):
        inner = functional.linear(x, factors.down)
        if factors.mid is not None:
            inner = functional.linear(inner, factors.mid.flatten(1))
        return functional.linear(inner, factors.up)
    if factors.mid is None:
        inner = functional.conv2d(x, factors.down, None, module.stride, module.padding, module.dilation)
    else:
        inner = functional.conv2d(functional.conv2d(x, factors.down), factors.mid, None, module.stride, module.padding)
    return functional.conv2d(inner, factors.up)
