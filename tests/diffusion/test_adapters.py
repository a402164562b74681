"""LoRAs in every layout that people have, at work beside a model, and away again."""

import copy
import json
import re
from pathlib import Path

import pytest
import torch
from accelerate import cpu_offload
from diffusers.loaders import FluxLoraLoaderMixin, StableDiffusionXLLoraLoaderMixin
from diffusers.models.transformers.transformer_flux import FluxTransformer2DModel
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import save_file
from torch import nn
from transformers import CLIPTextModel, CLIPTextModelWithProjection, T5EncoderModel

from batchgen.demo.adapters import attached as in_training
from batchgen.demo.adapters import new_adapter, save_diffusers, save_kohya
from batchgen.diffusion.adapters import Adapters
from batchgen.errors import ModelError
from batchgen.job import File, Lora, Model
from batchgen.models.adapter import assigned, misfit, read_adapter
from batchgen.models.digest import DigestCache, model_digest
from batchgen.models.layers import matrices, spellings
from batchgen.shipped import shipped_model

KINDS = {
    "sd15": {"unet": UNet2DConditionModel, "text_encoder": CLIPTextModel},
    "sdxl": {
        "unet": UNet2DConditionModel,
        "text_encoder": CLIPTextModel,
        "text_encoder_2": CLIPTextModelWithProjection,
    },
    "flux": {"transformer": FluxTransformer2DModel, "text_encoder": CLIPTextModel, "text_encoder_2": T5EncoderModel},
}

UNET_BLOCKS = {
    "demo_shapes": {
        "down_blocks.1.attentions.0": "input_blocks.3.1",
        "down_blocks.2.attentions.0": "input_blocks.5.1",
        "mid_block.attentions.0": "middle_block.1",
        "up_blocks.0.attentions.1": "output_blocks.1.1",
        "up_blocks.1.attentions.0": "output_blocks.2.1",
    },
    "tiny_sdxl": {
        "down_blocks.1.attentions.0": "input_blocks.3.1",
        "mid_block.attentions.0": "middle_block.1",
        "up_blocks.0.attentions.0": "output_blocks.0.1",
        "up_blocks.0.attentions.1": "output_blocks.1.1",
    },
}
UNET_CONVOLUTIONS = {
    "demo_shapes": {
        "conv_in": "input_blocks.0.0",
        "conv_out": "out.2",
        "time_embedding.linear_2": "time_embed.2",
        "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
        "down_blocks.1.resnets.0.conv1": "input_blocks.3.0.in_layers.2",
        "down_blocks.1.resnets.0.conv_shortcut": "input_blocks.3.0.skip_connection",
        "mid_block.resnets.1.time_emb_proj": "middle_block.2.emb_layers.1",
        "up_blocks.1.upsamplers.0.conv": "output_blocks.3.2.conv",
        "up_blocks.2.resnets.1.conv2": "output_blocks.5.0.out_layers.3",
    },
    "tiny_sdxl": {
        "conv_in": "input_blocks.0.0",
        "add_embedding.linear_1": "label_emb.0.0",
        "down_blocks.0.downsamplers.0.conv": "input_blocks.2.0.op",
        "up_blocks.0.upsamplers.0.conv": "output_blocks.1.2.conv",
        "up_blocks.1.resnets.1.conv_shortcut": "output_blocks.3.0.skip_connection",
    },
}
UNET_BLOCKS["tiny_sd15"] = UNET_BLOCKS["tiny_sdxl"]
UNET_CONVOLUTIONS["tiny_sd15"] = {
    layer: other for layer, other in UNET_CONVOLUTIONS["tiny_sdxl"].items() if layer != "add_embedding.linear_1"
}
INNER = (
    "proj_in",
    "transformer_blocks.0.attn1.to_q",
    "transformer_blocks.0.attn2.to_k",
    "transformer_blocks.0.attn2.to_out.0",
    "transformer_blocks.0.ff.net.0.proj",
    "transformer_blocks.0.ff.net.2",
)
TEXTS = ("encoder.layers.0.self_attn.q_proj", "encoder.layers.1.self_attn.out_proj", "encoder.layers.1.mlp.fc1")

ALPHA, RANK = 2.0, 4


@pytest.fixture(scope="session")
def demo():
    return Model(digest="0" * 64, family="sd15", name="demo_shapes", path=str(shipped_model("demo_shapes")))


@pytest.fixture
def small(tiny):
    return tiny("sd15")


@pytest.fixture
def loaded():
    """Load what adapters attach to. In double precision, what differs is not rounding."""

    def of(model, dtype=torch.float64):
        kinds = KINDS[model.family].items()
        return {name: kind.from_pretrained(str(Path(model.path, name)), dtype=dtype).eval() for name, kind in kinds}

    return of


def shown(modules):
    """What each module makes of the same inputs, the text encoders first."""
    draw = torch.Generator().manual_seed(0)
    kind = next(iter(modules.values())).dtype
    ids = torch.tensor([[1, 5, 9, 3, 11, 2, 7, 4]])

    def drawn(*shape):
        return torch.randn(shape, generator=draw).to(kind)

    found = {}
    with torch.inference_mode():
        for name in modules.keys() - {"unet", "transformer"}:
            found[name] = modules[name](ids)[0]
        if "unet" in modules:
            config = modules["unet"].config
            added = {"text_embeds": drawn(2, 12), "time_ids": torch.ones(2, 6)} if config.addition_embed_type else None
            states = drawn(2, 8, config.cross_attention_dim)
            found["unet"] = modules["unet"](drawn(2, 4, 8, 8), 500, states, added_cond_kwargs=added).sample
        if "transformer" in modules:
            found["transformer"] = modules["transformer"](
                hidden_states=drawn(1, 16, 16),
                timestep=torch.tensor([0.5], dtype=kind),
                guidance=torch.tensor([3.5], dtype=kind),
                pooled_projections=drawn(1, 16),
                encoder_hidden_states=drawn(1, 8, 20),
                txt_ids=torch.zeros(8, 3),
                img_ids=torch.arange(48).reshape(16, 3).float(),
            ).sample
    return found


def same(one, other):
    return all(torch.equal(one[name], other[name]) for name in one)


def close(one, other):
    for name in one:
        assert torch.allclose(one[name], other[name], rtol=1e-5, atol=1e-5 * one[name].abs().max().item()), name


class Content:
    """A LoRA as numbers, before it is written in some layout: (component, layer) to its factors, alpha beside."""

    def __init__(self, modules, layers, seed=1):
        draw = torch.Generator().manual_seed(seed)
        self.factors = {}
        for component, layer in layers:
            rows, *rest = modules[component].get_submodule(layer).weight.shape
            down, up = torch.randn(RANK, *rest, generator=draw), torch.randn(rows, RANK, generator=draw)
            if len(rest) == 3:
                up = up[:, :, None, None]
            self.factors[component, layer] = down / down[0].numel() ** 0.5, up / 4

    def fused(self, modules, scale, clip_scale):
        """Return copies of the modules with the LoRA added to their weights."""
        modules = copy.deepcopy(modules)
        for (component, layer), (down, up) in self.factors.items():
            weight = modules[component].get_submodule(layer).weight
            factor = clip_scale if component.startswith("text") else scale
            added = (up.flatten(1).double() @ down.flatten(1).double()).reshape(weight.shape)
            weight.data += factor * ALPHA / RANK * added
        return modules

    def write(self, path, name, *, factors=("lora_down", "lora_up"), alpha=False, metadata=None):
        """Write with `name(component, layer)` for each layer; without a tensor `alpha`, its effect is in `up`."""
        tensors = {}
        for (component, layer), (down, up) in self.factors.items():
            key = name(component, layer)
            tensors[key.replace("{}", factors[0]) + ".weight"] = down
            noted = alpha or metadata
            tensors[key.replace("{}", factors[1]) + ".weight"] = (up if noted else up * (ALPHA / RANK)).contiguous()
            if alpha:
                tensors[key.removesuffix(".{}") + ".alpha"] = torch.tensor(ALPHA)
        save_file(tensors, path, metadata=metadata)
        return path


def text_path(layer):
    """Every file has the name of the wrapper, whether or not the loaded model has it."""
    return f"text_model.{layer.removeprefix('text_model.')}"


def kohya(component, layer):
    prefix = {"unet": "lora_unet", "text_encoder": "lora_te1", "text_encoder_2": "lora_te2"}[component]
    layer = layer if component == "unet" else text_path(layer)
    return f"{prefix}_{layer.replace('.', '_')}.{{}}"


def kohya_sd15(component, layer):
    return kohya(component, layer).replace("lora_te1", "lora_te")


def in_ldm(model, layer):
    blocks = UNET_BLOCKS[model.name] | UNET_CONVOLUTIONS[model.name]
    start = next(start for start in sorted(blocks, key=len, reverse=True) if layer.startswith(start))
    return blocks[start] + layer.removeprefix(start)


def peft(component, layer):
    return f"{component}.{layer if component == 'unet' else text_path(layer)}.{{}}"


def older(component, layer):
    """How diffusers wrote LoRAs while they were attention processors."""
    if component == "unet" and (match := re.fullmatch(r"(.+\.attn\d)\.to_(q|k|v|out)(?:\.0)?", layer)):
        return f"unet.{match[1]}.processor.to_{match[2]}_lora.{{}}"
    if component != "unet" and (match := re.fullmatch(r"(.+\.self_attn)\.(q|k|v|out)_proj", layer)):
        return f"{component}.{text_path(match[1])}.to_{match[2]}_lora.{{}}"
    return (
        f"{component}.{layer}.lora.{{}}"
        if component == "unet"
        else f"{component}.{text_path(layer)}.lora_linear_layer.{{}}"
    )


def unet_layers(model):
    found = [("unet", f"{block}.{inner}") for block in UNET_BLOCKS[model.name] for inner in INNER]
    return found + [("unet", layer) for layer in UNET_CONVOLUTIONS[model.name]]


def text_layers(model):
    wrapped = {"text_encoder": "", "text_encoder_2": "text_model."}
    return [(name, wrapped[name] + layer) for name in wrapped if name in KINDS[model.family] for layer in TEXTS]


def every_layout(content, model, folder):
    """Write the LoRA in each layout that SD 1.5 and SDXL have; return the files."""

    def kohya_ldm(component, layer):
        return kohya(component, in_ldm(model, layer) if component == "unet" else layer)

    def comfyui(component, layer):
        if component == "unet":
            return f"diffusion_model.{in_ldm(model, layer)}.{{}}"
        clip = {"text_encoder": "clip_l", "text_encoder_2": "clip_g"}[component]
        return f"text_encoders.{clip}.transformer.{text_path(layer)}.{{}}"

    parts = KINDS[model.family]
    noted = {f"{part}.lora_alpha": ALPHA for part in parts}
    ab = ("lora_A", "lora_B")
    metadata = {"lora_adapter_metadata": json.dumps(noted)}
    return [
        content.write(folder / "kohya.safetensors", kohya, alpha=True),
        content.write(folder / "kohya_sd15.safetensors", kohya_sd15, alpha=True),
        content.write(folder / "kohya_ldm.safetensors", kohya_ldm, alpha=True),
        content.write(folder / "comfyui.safetensors", comfyui, alpha=True),
        content.write(folder / "diffusers.safetensors", peft, factors=ab),
        content.write(folder / "noted.safetensors", peft, factors=ab, metadata=metadata),
        content.write(folder / "older.safetensors", older, factors=("down", "up")),
    ]


def lora(path, scale=1.0, clip_scale=None):
    digest = model_digest({"lora": path}, DigestCache(path.parent / "cache.json"))
    file = File(digest=digest, name=path.stem, path=str(path))
    return Lora(file=file, scale=scale, clip_scale=scale if clip_scale is None else clip_scale)


@pytest.fixture(params=["demo_shapes", "tiny_sdxl"])
def model(request, demo, tiny):
    return demo if request.param == "demo_shapes" else tiny("sdxl")


def test_every_layout_of_a_lora_does_what_its_fused_weights_do(model, loaded, tmp_path):
    modules = loaded(model)
    content = Content(modules, unet_layers(model) + text_layers(model))
    before, fused = shown(modules), shown(content.fused(modules, 0.8, 0.5))
    assert not any(torch.allclose(before[name], fused[name], rtol=1e-2) for name in before)
    attached = {}
    for file in every_layout(content, model, tmp_path):
        assert misfit(file, model) is None
        adapters = Adapters(modules, model)
        adapters.attach([lora(file, 0.8, 0.5)])
        attached[file.stem] = shown(modules)
        adapters.detach()
    close(attached["kohya"], fused)
    assert len(attached) == 7
    assert [name for name, each in attached.items() if not same(each, attached["kohya"])] == []


@pytest.mark.parametrize("save", [save_kohya, save_diffusers])
def test_the_demos_own_loras_do_what_they_did_in_training(demo, loaded, tmp_path, save):
    modules = loaded(demo, torch.float32)
    adapter = new_adapter(modules, seed=1)
    draw = torch.Generator().manual_seed(2)
    for _, layer in adapter.named_layers():
        # Halves, as the file has them.
        layer.down.data = layer.down.data.half().float()
        layer.up.data = (torch.randn(layer.up.shape, generator=draw) / 16).half().float()
    with in_training(modules, [(adapter, 0.7)]):
        wanted = shown(modules)
    save(tmp_path / "mine.safetensors", adapter, {"modelspec.trigger_phrase": "mine"})
    facts = read_adapter(tmp_path / "mine.safetensors")
    assert facts.parts == ("denoiser", "text_encoder")
    assert misfit(facts, demo) is None
    adapters = Adapters(modules, demo)
    adapters.attach([lora(facts.path, 0.7)])
    seen = shown(modules)
    for name in seen:
        assert torch.allclose(seen[name], wanted[name], rtol=1e-3, atol=1e-3)


def test_peft_writes_the_denoiser_alone(model, loaded, tmp_path):
    modules = loaded(model)
    content = Content(modules, unet_layers(model))
    kept = content.write(tmp_path / "kohya.safetensors", kohya, alpha=True)
    prefixed = [
        content.write(
            tmp_path / f"{number}.safetensors",
            lambda _, layer, prefix=prefix: f"{prefix}{layer}.{{}}",
            factors=("lora_A.default", "lora_B.default"),
        )
        for number, prefix in enumerate(("base_model.model.", "", "base_model.model.unet."))
    ]
    seen = []
    for file in (kept, *prefixed):
        adapters = Adapters(modules, model)
        adapters.attach([lora(file)])
        seen.append(shown(modules))
        adapters.detach()
    assert all(same(seen[0], each) for each in seen)


def test_detaching_gives_the_model_as_it_was_to_the_bit(model, loaded, tmp_path):
    modules = loaded(model)
    weights = {name: {key: value.clone() for key, value in part.state_dict().items()} for name, part in modules.items()}
    objects = {name: list(part.modules()) for name, part in modules.items()}
    before = shown(modules)
    content = Content(modules, unet_layers(model) + text_layers(model))
    adapters = Adapters(modules, model)
    adapters.attach([lora(content.write(tmp_path / "a.safetensors", kohya, alpha=True))])
    assert not any(torch.equal(before[name], after) for name, after in shown(modules).items())
    adapters.detach()
    assert same(before, shown(modules))
    for name, part in modules.items():
        assert all(map(torch.equal, weights[name].values(), part.state_dict().values()))
        assert all(one is other for one, other in zip(objects[name], part.modules(), strict=True))
        assert not any(each._forward_hooks for each in part.modules())


def test_scale_zero_is_none_to_the_bit_for_each_part_alone(model, loaded, tmp_path):
    modules = loaded(model)
    before = shown(modules)
    content = Content(modules, unet_layers(model) + text_layers(model))
    file = content.write(tmp_path / "a.safetensors", kohya, alpha=True)
    adapters = Adapters(modules, model)
    adapters.attach([lora(file, 0.0)])
    assert same(before, shown(modules))
    assert adapters.facts == []
    adapters.attach([lora(file, 1.0, 0.0)])
    after = shown(modules)
    assert {name for name in before if not torch.equal(before[name], after[name])} == {"unet"}
    assert adapters.reading == ()
    adapters.attach([lora(file, 0.0, 1.0)])
    after = shown(modules)
    assert {name for name in before if torch.equal(before[name], after[name])} == {"unet"}
    assert len(adapters.reading) == 1


def test_two_at_once_are_their_sum_and_switching_leaves_nothing_behind(small, loaded, tmp_path):
    modules = loaded(small)
    layers = unet_layers(small) + text_layers(small)
    one, two = Content(modules, layers, seed=1), Content(modules, layers[::2], seed=2)
    files = [
        each.write(tmp_path / f"{name}.safetensors", kohya, alpha=True) for each, name in ((one, "one"), (two, "two"))
    ]
    fused = shown(two.fused(one.fused(modules, 0.8, 0.8), -0.5, -0.5))
    adapters = Adapters(modules, small)
    adapters.attach([lora(files[0], 0.8)])
    alone = shown(modules)
    adapters.attach([lora(files[0], 0.8), lora(files[1], -0.5)])
    both = shown(modules)
    close(both, fused)
    assert [(fact["name"], fact["scale"], fact["ranks"]) for fact in adapters.facts] == [
        ("one", 0.8, [RANK]),
        ("two", -0.5, [RANK]),
    ]
    adapters.attach([lora(files[0], 0.8)])
    assert same(alone, shown(modules))
    adapters.attach([lora(files[0], 0.8), lora(files[1], -0.5)])
    assert same(both, shown(modules))


def test_the_same_loras_again_change_nothing(small, loaded, tmp_path):
    modules = loaded(small)
    file = Content(modules, unet_layers(small)).write(tmp_path / "a.safetensors", kohya, alpha=True)
    adapters = Adapters(modules, small)
    adapters.attach([lora(file)])
    hooks = [hook for each in modules["unet"].modules() for hook in each._forward_hooks.values()]
    adapters.attach([lora(file)])
    assert hooks == [hook for each in modules["unet"].modules() for hook in each._forward_hooks.values()]
    assert hooks != []


def test_a_file_is_read_once_while_there_is_room_for_it(small, loaded, tmp_path):
    modules = loaded(small)
    before = shown(modules)
    files = [
        Content(modules, unet_layers(small), seed).write(tmp_path / f"{seed}.safetensors", kohya, alpha=True)
        for seed in (1, 2)
    ]
    loras = [lora(file) for file in files]
    adapters, forgetful = Adapters(modules, small), Adapters(modules, small, keep=0)
    for each in (adapters, forgetful):
        each.attach(loras[:1])
        each.attach(loras[1:])
        each.detach()
    files[0].unlink()
    adapters.attach(loras[:1])
    assert not same(before, shown(modules))
    adapters.detach()
    with pytest.raises(ModelError, match=r"1\.safetensors"):
        forgetful.attach(loras[:1])
    assert same(before, shown(modules))


def test_tucker_decomposed_convolutions_do_what_their_fused_weights_do(small, loaded, tmp_path):
    modules = loaded(small)
    tensors = {}
    fused = copy.deepcopy(modules)
    draw = torch.Generator().manual_seed(5)
    for layer in ("down_blocks.0.downsamplers.0.conv", "mid_block.resnets.0.conv1"):
        weight = fused["unet"].get_submodule(layer).weight
        rows, columns, *kernel = weight.shape
        down, mid, up = (
            torch.randn(shape, generator=draw) / 8
            for shape in ((RANK, columns, 1, 1), (RANK, RANK, *kernel), (rows, RANK, 1, 1))
        )
        key = f"lora_unet_{layer.replace('.', '_')}"
        tensors |= {f"{key}.lora_down.weight": down, f"{key}.lora_mid.weight": mid, f"{key}.lora_up.weight": up}
        added = torch.einsum("or,rskl,si->oikl", up[:, :, 0, 0], mid, down[:, :, 0, 0])
        weight.data += added
    path = tmp_path / "tucker.safetensors"
    save_file(tensors, path)
    adapters = Adapters(modules, small)
    adapters.attach([lora(path)])
    close(shown(modules), shown(fused))


FLUX_LAYERS = {
    "transformer_blocks.0.attn.to_out.0": "double_blocks.0.img_attn.proj",
    "transformer_blocks.0.attn.to_add_out": "double_blocks.0.txt_attn.proj",
    "transformer_blocks.0.ff.net.0.proj": "double_blocks.0.img_mlp.0",
    "transformer_blocks.0.ff_context.net.2": "double_blocks.0.txt_mlp.2",
    "transformer_blocks.0.norm1.linear": "double_blocks.0.img_mod.lin",
    "single_transformer_blocks.0.proj_out": "single_blocks.0.linear2",
    "single_transformer_blocks.0.norm.linear": "single_blocks.0.modulation.lin",
    "x_embedder": "img_in",
    "proj_out": "final_layer.linear",
}


def flux_tensors(modules):
    """A LoRA with the names of the original code, three layers of diffusers being one of it; in kohya's layout."""
    draw = torch.Generator().manual_seed(6)
    transformer = modules["transformer"]
    shapes = {other: transformer.get_submodule(layer).weight.shape for layer, other in FLUX_LAYERS.items()}
    shapes |= {
        "double_blocks.0.img_attn.qkv": (48, 16),
        "double_blocks.0.txt_attn.qkv": (48, 16),
        "single_blocks.0.linear1": (112, 16),
    }
    return {
        name: (torch.randn(RANK, columns, generator=draw) / 4, torch.randn(rows, RANK, generator=draw) / 4)
        for name, (rows, columns) in shapes.items()
    }


def flux_file(path, content, name, factors=("lora_down", "lora_up"), *, alpha):
    tensors = {}
    for layer, (down, up) in content.items():
        key = name(layer)
        tensors[f"{key}.{factors[0]}.weight"] = down
        tensors[f"{key}.{factors[1]}.weight"] = up if alpha else up * (ALPHA / RANK)
        if alpha:
            tensors[f"{key}.alpha"] = torch.tensor(ALPHA)
    save_file(tensors, path)
    return path


def test_every_layout_of_a_flux_lora_does_what_diffusers_own_converter_says(tiny, loaded, tmp_path):
    model = tiny("flux")
    modules = loaded(model)
    content = flux_tensors(modules)
    kohya_file = flux_file(
        tmp_path / "kohya.safetensors", content, lambda name: "lora_unet_" + name.replace(".", "_"), alpha=True
    )
    comfyui_file = flux_file(
        tmp_path / "comfyui.safetensors",
        content,
        lambda name: f"diffusion_model.{name}",
        ("lora_A", "lora_B"),
        alpha=False,
    )
    # Of the first it knows the real size alone; outside the blocks it loses the component's name, and an alpha.
    by_hand = {
        "single_blocks.0.linear1": [
            f"single_transformer_blocks.0.{layer}" for layer in ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp")
        ],
        "img_in": ["x_embedder"],
        "final_layer.linear": ["proj_out"],
    }
    converted = FluxLoraLoaderMixin.lora_state_dict(
        {
            f"lora_unet_{name.replace('.', '_')}.{key}": value.clone()
            for name, (down, up) in content.items()
            if name not in by_hand
            for key, value in (("lora_down.weight", down), ("lora_up.weight", up), ("alpha", torch.tensor(ALPHA)))
        }
    )
    for name, layers in by_hand.items():
        down, up = content[name]
        for layer, rows in zip(layers, up.tensor_split((16, 32, 48)[: len(layers) - 1]), strict=True):
            converted[f"transformer.{layer}.lora_A.weight"] = down
            converted[f"transformer.{layer}.lora_B.weight"] = rows * (ALPHA / RANK)
    save_file(
        {name: value.clone().contiguous() for name, value in converted.items()}, tmp_path / "diffusers.safetensors"
    )
    fused = copy.deepcopy(modules)
    for name, down in converted.items():
        if name.endswith(".lora_A.weight"):
            layer = name.removeprefix("transformer.").removesuffix(".lora_A.weight")
            fused["transformer"].get_submodule(layer).weight.data += (
                converted[name.replace("lora_A", "lora_B")].double() @ down.double()
            )
    wanted = shown(fused)
    assert not torch.allclose(wanted["transformer"], shown(modules)["transformer"], rtol=1e-2)
    for file in (kohya_file, comfyui_file, tmp_path / "diffusers.safetensors"):
        assert misfit(file, model) is None
        adapters = Adapters(modules, model)
        adapters.attach([lora(file)])
        close(shown(modules), wanted)
        adapters.detach()


def test_the_halves_of_fluxs_last_norm_change_places(tiny, loaded, tmp_path):
    model = tiny("flux")
    # Rounding shows here if the bits depend on where in its file a factor stands.
    modules = loaded(model, torch.float32)
    down, up = torch.randn(RANK, 16, generator=torch.Generator().manual_seed(1)), torch.zeros(32, RANK)
    up[:16] = 1.0
    for name, rows in (("lora_unet_final_layer_adaLN_modulation_1", up), ("transformer.norm_out.linear", up.flip(0))):
        path = tmp_path / f"{name}.safetensors"
        save_file({f"{name}.lora_down.weight": down, f"{name}.lora_up.weight": rows.contiguous()}, path)
    files = [lora(path) for path in sorted(tmp_path.glob("*.safetensors"))]
    before, seen = shown(modules), []
    for each in files:
        adapters = Adapters(modules, model)
        adapters.attach([each])
        seen.append(shown(modules))
        adapters.detach()
    assert same(*seen)
    assert not same(seen[0], before)


def test_xlabs_and_text_encoders_of_flux_are_known(tiny, loaded, tmp_path):
    model = tiny("flux")
    modules = loaded(model)
    sides = {
        "double_blocks.0.processor.qkv_lora1": (48, 16),
        "double_blocks.0.processor.proj_lora2": (16, 16),
        "single_blocks.0.processor.qkv_lora": (48, 16),
        "single_blocks.0.processor.proj_lora": (16, 80),
    }
    draw = torch.Generator().manual_seed(1)
    tensors = {}
    for name, (rows, columns) in sides.items():
        tensors[f"{name}.down.weight"] = torch.randn(RANK, columns, generator=draw)
        tensors[f"{name}.up.weight"] = torch.randn(rows, RANK, generator=draw)
    for name in (
        "lora_te1_text_model_encoder_layers_0_self_attn_q_proj",
        "lora_te3_encoder_block_0_layer_0_SelfAttention_q",
    ):
        columns = 16 if "te1" in name else 20
        tensors[f"{name}.lora_down.weight"] = torch.randn(RANK, columns, generator=draw)
        tensors[f"{name}.lora_up.weight"] = torch.randn(16, RANK, generator=draw)
    path = tmp_path / "xlabs.safetensors"
    save_file(tensors, path)
    before = shown(modules)
    adapters = Adapters(modules, model)
    adapters.attach([lora(path)])
    assert not any(torch.equal(before[name], after) for name, after in shown(modules).items())


def whole_sdxl():
    """A UNet of SDXL's real size, without the data.

    Not one of SD 1.5: of its twelve input blocks diffusers' converter mixes up 1 and 10.
    """
    with torch.device("meta"):
        return UNet2DConditionModel(
            block_out_channels=(320, 640, 1280),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2, 10),
            cross_attention_dim=2048,
            attention_head_dim=(5, 10, 20),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        )


def test_the_whole_unet_is_called_as_diffusers_own_converter_says():
    unet = whole_sdxl()
    known = spellings("unet", layers_of(unet))
    names = [
        spelling
        for spelling in known
        if spelling.startswith(("input_blocks_", "middle_block_", "output_blocks_"))
        and not spelling.endswith("_to_out")
        and not spelling.startswith("input_blocks_0_0")
    ]
    assert len(names) > 200
    tensors = {}
    for number, name in enumerate(names):
        tensors[f"lora_unet_{name}.lora_down.weight"] = torch.full((1, 1), float(number))
        tensors[f"lora_unet_{name}.lora_up.weight"] = torch.zeros(1, 1)
    converted, _ = StableDiffusionXLLoraLoaderMixin.lora_state_dict(dict(tensors), unet_config=unet.config)
    theirs = {int(value.item()): key for key, value in converted.items() if ".down." in key or "lora_A" in key}
    for number, name in enumerate(names):
        (place,) = known[name]
        assert plain(theirs[number]) == plain(f"unet.{place.layer}.lora.down.weight")


def plain(key):
    """Drop what differs between diffusers' own names of a layer of a LoRA."""
    for word in (".processor", ".lora.down.weight", ".lora_A.weight", "_lora.down.weight"):
        key = key.replace(word, "")
    return key.removesuffix(".0") if ".to_out" in key else key


def layers_of(module):
    return matrices(
        {
            f"{name}.weight": tuple(each.weight.shape)
            for name, each in module.named_modules()
            if isinstance(each, nn.Linear | nn.Conv2d)
        }
    )


def test_a_lora_of_another_size_is_refused_with_both_names_and_nothing_is_attached(small, tiny, loaded, tmp_path):
    modules = loaded(small)
    before = shown(modules)
    mine = Content(modules, unet_layers(small)).write(tmp_path / "mine.safetensors", kohya, alpha=True)
    other = tiny("sdxl")
    xl = Content(loaded(other), unet_layers(other)).write(tmp_path / "xl.safetensors", kohya, alpha=True)
    adapters = Adapters(modules, small)
    with pytest.raises(ModelError) as caught:
        adapters.attach([lora(mine), lora(xl)])
    line = str(caught.value)
    assert "LoRA 'xl'" in line
    assert "model 'tiny_sd15'" in line
    assert "\n" not in line
    assert misfit(xl, small) in line
    assert same(before, shown(modules))
    assert adapters.facts == []


def test_names_of_no_layer_are_an_error_that_counts_them(small, loaded, tmp_path):
    modules = loaded(small)
    content = Content(modules, unet_layers(small))
    path = content.write(
        tmp_path / "odd.safetensors", lambda *words: kohya(*words).replace("mid_block", "made_up"), alpha=True
    )
    with pytest.raises(
        ModelError, match="6 of its 28 layers are not in the model: lora_unet_made_up_attentions_0_proj_in, "
    ):
        Adapters(modules, small).attach([lora(path)])


def test_the_shapes_in_weight_files_and_in_modules_are_the_same(model, loaded, tmp_path):
    modules = loaded(model)
    content = Content(modules, unet_layers(model) + text_layers(model))
    facts = read_adapter(content.write(tmp_path / "a.safetensors", kohya, alpha=True))
    by_modules, wrong = assigned(facts, {name: layers_of(module) for name, module in modules.items()})
    assert wrong is None
    assert {(place.component, place.layer) for _, (place,) in by_modules} == set(content.factors)


def test_layers_that_are_streamed_to_the_device_have_their_loras(small, loaded, tmp_path):
    modules = loaded(small)
    file = Content(modules, unet_layers(small) + text_layers(small)).write(
        tmp_path / "a.safetensors", kohya, alpha=True
    )
    adapters = Adapters(modules, small)
    adapters.attach([lora(file)])
    wanted = shown(modules)
    streamed = loaded(small)
    before = shown(streamed)
    for module in streamed.values():
        cpu_offload(module, execution_device=torch.device("cpu"), offload_buffers=True)
    assert next(streamed["unet"].parameters()).device.type == "meta"
    adapters = Adapters(streamed, small)
    adapters.attach([lora(file)])
    assert same(wanted, shown(streamed))
    adapters.detach()
    assert same(before, shown(streamed))


def test_in_half_precision_a_lora_computes_as_its_layer_does(small, loaded, tmp_path):
    modules = {"unet": loaded(small)["unet"]}
    file = Content(modules, unet_layers(small)).write(tmp_path / "a.safetensors", kohya, alpha=True)
    adapters = Adapters(modules, small)
    adapters.attach([lora(file)])
    wanted = shown(modules)["unet"].float()
    modules["unet"].to(torch.bfloat16)
    seen = shown(modules)["unet"]
    assert seen.dtype is torch.bfloat16
    assert torch.nn.functional.cosine_similarity(seen.float().flatten(), wanted.flatten(), dim=0) > 0.99
