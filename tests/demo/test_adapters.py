import pytest
import torch
from safetensors import safe_open
from torch import nn

from batchgen.demo.adapters import RANK, Adapter, attached, load_adapter, new_adapter, save_diffusers, save_kohya


class Block(nn.Module):
    """Three layers with names as in a UNet, and one that no LoRA is for."""

    def __init__(self):
        super().__init__()
        self.to_q = nn.Linear(12, 10)
        self.conv1 = nn.Conv2d(10, 10, 3, padding=1)
        self.proj_out = nn.Conv2d(10, 6, 1)
        self.norm = nn.Linear(6, 6)
        for number, parameter in enumerate(self.parameters()):
            nn.init.normal_(parameter, generator=torch.Generator().manual_seed(number))

    def forward(self, x):
        places = self.to_q(x)[:, :, None, None].expand(-1, -1, 4, 4)
        return self.norm(self.proj_out(self.conv1(places))[:, :, 0, 0])


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.mid_block = Block()

    def forward(self, x):
        return self.mid_block(x)


@pytest.fixture
def models():
    return {"unet": Model().requires_grad_(False)}


def trained(models, seed=1):
    """Return a LoRA whose `up` is not zero."""
    adapter = new_adapter(models, seed)
    for number, (_, layer) in enumerate(adapter.named_layers()):
        nn.init.normal_(layer.up, std=0.1, generator=torch.Generator().manual_seed(seed + number))
    return adapter.requires_grad_(False)


def answer(models, *scales):
    x = torch.randn(4, 12, generator=torch.Generator().manual_seed(5))
    with attached(models, scales):
        return models["unet"](x)


def test_a_new_lora_changes_nothing(models):
    assert torch.equal(answer(models, (new_adapter(models, 0), 1.0)), answer(models))


def test_it_is_for_the_layers_of_attention_and_residual_blocks(models):
    layers = ("to_q", "conv1", "proj_out")

    assert new_adapter(models, 0).paths == tuple(f"unet.mid_block.{layer}" for layer in layers)


def test_at_scale_0_the_model_is_the_same_bit_for_bit(models):
    adapter = trained(models)

    assert not torch.allclose(answer(models, (adapter, 1.0)), answer(models))
    assert torch.equal(answer(models, (adapter, 0.0)), answer(models))


def test_afterwards_the_model_is_what_it_was(models):
    before = answer(models)

    answer(models, (trained(models), 1.0))

    assert torch.equal(answer(models), before)


def test_a_layer_grows_by_scale_times_up_times_down(models):
    adapter = trained(models)
    layer = models["unet"].mid_block.to_q
    x = torch.randn(4, 12, generator=torch.Generator().manual_seed(5))
    beside = dict(adapter.named_layers())["unet.mid_block.to_q"]
    only = Adapter({"unet.mid_block.to_q": beside})

    with attached(models, [(only, 0.5)]):
        grown = layer(x)

    merged = torch.nn.functional.linear(x, layer.weight + 0.5 * beside.up @ beside.down, layer.bias)
    assert torch.allclose(grown, merged, atol=1e-5)


def test_two_at_once_add_up_in_any_order(models):
    one, two = trained(models, 1), trained(models, 2)

    both = answer(models, (one, 1.0), (two, 0.5))

    assert torch.allclose(both, answer(models, (two, 0.5), (one, 1.0)), atol=1e-5)
    assert not torch.allclose(both, answer(models, (one, 1.0)))


@pytest.mark.parametrize("save", [save_kohya, save_diffusers])
def test_a_file_gives_the_lora_back(save, models, tmp_path):
    adapter = trained(models)

    save(tmp_path / "a.safetensors", adapter, {})
    again = load_adapter(tmp_path / "a.safetensors", models).requires_grad_(False)

    assert torch.allclose(answer(models, (again, 1.0)), answer(models, (adapter, 1.0)), atol=2e-2)
    assert again.paths == adapter.paths


def test_kohyas_names_have_an_alpha_and_those_of_diffusers_none(models, tmp_path):
    for name, save in (("kohya", save_kohya), ("diffusers", save_diffusers)):
        save(tmp_path / f"{name}.safetensors", trained(models), {"about": "x"})

    with safe_open(tmp_path / "kohya.safetensors", framework="pt") as file:
        kohya, alpha = set(file.keys()), file.get_tensor("lora_unet_mid_block_to_q.alpha")
        assert file.metadata()["about"] == "x"
    with safe_open(tmp_path / "diffusers.safetensors", framework="pt") as file:
        diffusers = set(file.keys())

    layers = [f"lora_unet_mid_block_{layer}" for layer in ("to_q", "conv1", "proj_out")]
    assert kohya == {f"{layer}.{end}" for layer in layers for end in ("lora_down.weight", "lora_up.weight", "alpha")}
    assert float(alpha) == RANK / 2
    assert diffusers == {
        f"unet.mid_block.{layer}.lora_{end}.weight" for layer in ("to_q", "conv1", "proj_out") for end in "AB"
    }
