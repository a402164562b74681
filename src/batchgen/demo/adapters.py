"""LoRAs of the demo (arXiv:2106.09685): what is learnt beside a layer, and the files it is kept in.

Two layouts that people's files have: kohya's, with one `alpha` a layer, and that of diffusers,
whose factors carry all of the scale.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final, cast

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

RANK: Final = 4
"""Width of the narrow part between `down` and `up`."""

CONV_RANK: Final = 6
"""The same of convolutions over 3 x 3 pixels: fine detail is theirs, for attention sees 8 x 8 places at most."""

_STRENGTH: Final = 0.5
"""Kohya's scale of a layer: alpha / rank."""

_ATTENTION: Final = ("to_q", "to_k", "to_v", "to_out.0", "ff.net.0.proj", "ff.net.2", "proj_in", "proj_out")
_UNET_LAYERS: Final = (*_ATTENTION, ".conv1", ".conv2", ".conv_shortcut")
_TEXT_LAYERS: Final = ("q_proj", "k_proj", "v_proj", "out_proj")


class Beside(nn.Module):
    """The two factors that stand beside a linear layer or a convolution."""

    def __init__(self, layer: nn.Linear | nn.Conv2d, generator: torch.Generator) -> None:
        """Make `down` random and `up` zero, so that nothing changes at first."""
        super().__init__()
        width = layer.weight.shape[1:]
        rank = CONV_RANK if width[1:].numel() > 1 else RANK
        self.down = nn.Parameter(torch.randn(rank, *width, generator=generator) * width.numel() ** -0.5)
        self.up = nn.Parameter(torch.zeros(layer.weight.shape[0], rank, *(1 for _ in width[1:])))

    def forward(self, x: Tensor) -> Tensor:
        """Return what is added to the layer's output at scale 1."""
        if self.down.dim() == 2:
            return nn.functional.linear(nn.functional.linear(x, self.down), self.up)
        padding = self.down.shape[-1] // 2
        return nn.functional.conv2d(nn.functional.conv2d(x, self.down, padding=padding), self.up)


class Adapter(nn.Module):
    """A LoRA for some layers of the UNet and the text encoder, by "unet." or "text_encoder." and their path."""

    def __init__(self, layers: Mapping[str, Beside]) -> None:
        """Take the layers; torch wants names without dots."""
        super().__init__()
        self.paths = tuple(layers)
        self.layers = nn.ModuleList(layers.values())

    def named_layers(self) -> Iterator[tuple[str, Beside]]:
        """Yield path and factors of each layer."""
        for path, layer in zip(self.paths, self.layers, strict=True):
            yield path, cast("Beside", layer)


def new_adapter(models: Mapping[str, nn.Module], seed: int) -> Adapter:
    """Return an untrained LoRA for the models, named "unet" and, if it is wanted, "text_encoder"."""
    generator = torch.Generator().manual_seed(seed)
    found = {
        f"{model}.{path}": Beside(layer, generator)
        for model, module in models.items()
        for path, layer in module.named_modules()
        if path.endswith(_UNET_LAYERS if model == "unet" else _TEXT_LAYERS)
        if isinstance(layer, nn.Linear | nn.Conv2d)
    }
    return Adapter(found)


@contextmanager
def attached(models: Mapping[str, nn.Module], scales: Iterable[tuple[Adapter, float]]) -> Iterator[None]:
    """Let the models run with these LoRAs; a LoRA of scale 0 is not attached at all."""
    with ExitStack() as hooks:
        for adapter, scale in scales:
            for path, layer in adapter.named_layers() if scale else ():
                model, _, inner = path.partition(".")
                handle = models[model].get_submodule(inner).register_forward_hook(_adding(layer, scale))
                hooks.callback(handle.remove)
        yield


def _adding(layer: Beside, scale: float) -> Callable[[nn.Module, tuple[Tensor, ...], Tensor], Tensor]:
    def add(_module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        return output + scale * cast("Tensor", layer(inputs[0]))

    return add


def save_kohya(path: Path, adapter: Adapter, metadata: Mapping[str, str]) -> None:
    """Write the LoRA as kohya's scripts do, in half precision."""
    tensors: dict[str, Tensor] = {}
    for layer_path, layer in adapter.named_layers():
        name = _kohya_name(layer_path)
        tensors[f"{name}.lora_down.weight"] = layer.down
        tensors[f"{name}.lora_up.weight"] = layer.up / _STRENGTH
        tensors[f"{name}.alpha"] = torch.tensor(_STRENGTH * len(layer.down))
    dims = {"ss_network_dim": str(RANK), "ss_network_alpha": f"{_STRENGTH * RANK:g}"}
    _save(path, tensors, {**metadata, "ss_network_module": "networks.lora", **dims})


def save_diffusers(path: Path, adapter: Adapter, metadata: Mapping[str, str]) -> None:
    """Write the LoRA as diffusers does, in half precision; without an alpha its scale is 1."""
    tensors: dict[str, Tensor] = {}
    for layer_path, layer in adapter.named_layers():
        tensors[f"{layer_path}.lora_A.weight"] = layer.down
        tensors[f"{layer_path}.lora_B.weight"] = layer.up
    _save(path, tensors, metadata)


def _kohya_name(path: str) -> str:
    model, _, inner = path.partition(".")
    prefix = "lora_unet_" if model == "unet" else "lora_te_text_model_"
    return prefix + inner.replace(".", "_")


def _save(path: Path, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]) -> None:
    halves = {name: tensor.detach().to(torch.float16).contiguous() for name, tensor in tensors.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(halves, path, {"format": "pt", **metadata})
    path.chmod(0o644)  # safetensors writes for its owner alone


def load_adapter(path: Path, models: Mapping[str, nn.Module]) -> Adapter:
    """Return a LoRA that one of the two functions above wrote, in full precision."""
    tensors = {name: tensor.float() for name, tensor in load_file(path).items()}
    adapter = new_adapter(models, seed=0)
    layers = {}
    for layer_path, layer in adapter.named_layers():
        name = _kohya_name(layer_path)
        if f"{name}.alpha" in tensors:
            down, up = tensors[f"{name}.lora_down.weight"], tensors[f"{name}.lora_up.weight"]
            up = up * (tensors[f"{name}.alpha"] / len(down))
        elif f"{layer_path}.lora_A.weight" in tensors:
            down, up = tensors[f"{layer_path}.lora_A.weight"], tensors[f"{layer_path}.lora_B.weight"]
        else:
            continue
        layer.down.data, layer.up.data = down, up
        layers[layer_path] = layer
    return Adapter(layers)
