import json
import struct
from pathlib import Path

import pytest
import torch
from diffusers.models.autoencoders.autoencoder_kl import AutoencoderKL
from diffusers.models.unets.unet_2d_condition import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from transformers.models.t5.tokenization_t5 import T5Tokenizer

from batchgen.diffusion.component import Part
from batchgen.diffusion.engine import DiffusionEngine
from batchgen.diffusion.loading import outline_parts, tokenizer
from batchgen.diffusion.unet import UNetDenoiser
from batchgen.engine import Runtime
from batchgen.errors import ModelError
from batchgen.job import Model
from batchgen.models.folder import component_weights

UNET = "unet/diffusion_pytorch_model.safetensors"


@pytest.fixture
def model(tmp_path, write_model):
    return write_model(tmp_path / "model", "sd15")


@pytest.fixture
def refusal(runtime):
    """Open a model and return the one line that says why it cannot be."""

    def of(model):
        with pytest.raises(ModelError) as caught:
            DiffusionEngine(runtime).open(model)
        line = str(caught.value)
        assert "\n" not in line
        return line

    return of


def test_a_missing_folder_of_a_component_is_named(model, refusal):
    unet = Path(model.path, "unet")
    unet.rename(unet.with_name("elsewhere"))
    assert "the folder unet/ is missing" in refusal(model)


def test_a_file_that_was_cut_short_is_named(model, refusal):
    file = Path(model.path, UNET)
    file.write_bytes(file.read_bytes()[:-1000])
    assert "diffusion_pytorch_model.safetensors: is cut short: 1000 of" in refusal(model)


def test_a_web_page_in_place_of_weights_is_named(model, refusal):
    Path(model.path, "vae/diffusion_pytorch_model.safetensors").write_text("<!DOCTYPE html><title>Not Found</title>")
    assert "is a web page, not weights" in refusal(model)


def test_a_pickle_is_not_read(model, refusal):
    file = Path(model.path, "text_encoder/model.safetensors")
    file.rename(file.with_name("pytorch_model.bin"))
    assert "has its weights only as a pickle" in refusal(model)


def test_a_missing_weight_is_not_drawn_at_random(model, refusal):
    file = Path(model.path, UNET)
    weights = load_file(file)
    del weights["conv_in.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    assert "conv_in.weight" in refusal(model)


def test_a_missing_weight_of_a_text_encoder_is_not_drawn_at_random(model, refusal):
    file = Path(model.path, "text_encoder/model.safetensors")
    weights = load_file(file)
    name = next(name for name in weights if name.endswith("final_layer_norm.weight"))
    del weights[name]
    save_file(weights, file, metadata={"format": "pt"})
    assert "final_layer_norm.weight" in refusal(model)


def test_a_weight_of_another_shape_is_refused(model, refusal):
    config = Path(model.path, "unet/config.json")
    config.write_text(json.dumps(json.loads(config.read_text()) | {"in_channels": 9}))
    assert "unet" in refusal(model)


def test_a_damaged_configuration_is_named(model, refusal):
    Path(model.path, "vae/config.json").write_text("{")
    assert "vae/config.json: cannot be read" in refusal(model)


def test_a_damaged_tokenizer_is_named(model, refusal):
    Path(model.path, "tokenizer/vocab.json").write_text("{")
    assert "tokenizer: cannot be read as a tokenizer" in refusal(model)


def test_a_missing_scheduler_configuration_is_named(model, refusal):
    Path(model.path, "scheduler/scheduler_config.json").unlink()
    assert "scheduler_config.json: is missing" in refusal(model)


def test_a_model_of_another_family_is_refused_and_both_are_named(tiny, refusal):
    other = Model(digest="0" * 64, family="sdxl", name="x", path=tiny("sd15").path)
    line = refusal(other)
    assert "holds a StableDiffusionPipeline, but family sdxl needs a StableDiffusionXLPipeline" in line


def test_a_component_of_another_kind_is_refused(model, tiny, refusal):
    config = Path(model.path, "text_encoder/config.json")
    config.write_text(Path(tiny("sdxl").path, "text_encoder_2/config.json").read_text())
    assert "describes a CLIPTextModelWithProjection, but a CLIPTextModel is needed" in refusal(model)


def test_a_model_for_editing_is_refused_as_one(model, refusal):
    file, config = Path(model.path, UNET), Path(model.path, "unet/config.json")
    weights = load_file(file)
    weights["conv_in.weight"] = weights["conv_in.weight"].repeat(1, 3, 1, 1)[:, :8].contiguous()
    save_file(weights, file, metadata={"format": "pt"})
    config.write_text(json.dumps(json.loads(config.read_text()) | {"in_channels": 8}))
    assert "takes 8 channels, a latent image has 4" in refusal(model)


def test_an_unknown_family_is_refused(tiny, refusal):
    assert "unknown family 'sd16'" in refusal(Model(digest="0", family="sd16", name="x", path=tiny("sd15").path))


def test_weights_stored_in_several_formats_are_loaded_in_one(tmp_path, write_model):
    model = write_model(tmp_path / "model", "sd15")
    file = Path(model.path, UNET)
    save_file({name: weight.half() for name, weight in load_file(file).items()}, file, metadata={"format": "pt"})
    denoiser = UNetDenoiser(model, torch.float32, torch.device("cpu"), "full")
    assert {
        weight.dtype for part in ("unet", "vae", "text_encoder") for weight in denoiser._parts[part].parameters()
    } == {torch.float32}


def test_weights_that_are_there_in_the_fp16_variant_only_are_found(model):
    for part, file in (
        ("unet", "diffusion_pytorch_model"),
        ("vae", "diffusion_pytorch_model"),
        ("text_encoder", "model"),
    ):
        whole = Path(model.path, part, f"{file}.safetensors")
        whole.rename(whole.with_name(f"{file}.fp16.safetensors"))
    UNetDenoiser(model, torch.float32, torch.device("cpu"), "full")


def value_of(model, part):
    """Load a model and return one number that all weights of a part were set to."""
    (value,) = {float(weight.detach().flatten()[0]) for weight in part_of(model, part).parameters()}
    return value


def part_of(model, part):
    return UNetDenoiser(model, torch.float32, torch.device("cpu"), "full")._parts[part]


def write_as(file, weights, value):
    save_file({name: torch.full_like(each, value) for name, each in weights.items()}, file, metadata={"format": "pt"})


def in_shards(folder, base, weights, value, index):
    names = sorted(weights)
    shards = {f"{base}-00001-of-00002.safetensors": names[::2], f"{base}-00002-of-00002.safetensors": names[1::2]}
    for shard, held in shards.items():
        write_as(folder / shard, {name: weights[name] for name in held}, value)
    places = {name: shard for shard, held in shards.items() for name in held}
    (folder / index).write_text(json.dumps({"metadata": {"total_size": 1}, "weight_map": places}))


@pytest.mark.parametrize(("part", "base"), [("unet", "diffusion_pytorch_model"), ("text_encoder", "model")])
@pytest.mark.parametrize(
    "stored",
    [
        ("{base}.fp16", "{base}.non_ema"),
        ("{base}.non_ema", "{base}.a_first"),
        ("{base}", "{base}.fp16"),
        ("{base}", "shards"),
        ("shards", "{base}.fp16"),
        ("{base}", "{other}"),
    ],
    ids="+".join,
)
def test_the_weights_that_are_loaded_are_those_that_are_hashed(model, part, base, stored):
    folder = Path(model.path, part)
    other = {"model": "diffusion_pytorch_model", "diffusion_pytorch_model": "model"}[base]
    weights = load_file(folder / f"{base}.safetensors")
    (folder / f"{base}.safetensors").unlink()
    for number, name in enumerate(stored, start=1):
        if name == "shards":
            in_shards(folder, base, weights, number / 8, f"{base}.safetensors.index.json")
        else:
            write_as(folder / f"{name.format(base=base, other=other)}.safetensors", weights, number / 8)
    hashed = [file for file in component_weights(folder)[1] if file.suffix == ".safetensors"]
    (value,) = {float(weight.flatten()[0]) for file in hashed for weight in load_file(file).values()}
    assert value_of(model, part) == value
    DiffusionEngine(Runtime(device="cpu")).open(model).close()


def test_an_adapter_that_would_change_the_weights_is_not_loaded(model, refusal):
    Path(model.path, "text_encoder/adapter_config.json").write_text("{}")
    assert "adapter_config.json: would be laid over the weights" in refusal(model)


def test_opening_a_model_reads_no_weights(model, runtime):
    parts = outline_parts(model, (Part(name="unet", kind=UNet2DConditionModel), Part(name="vae", kind=AutoencoderKL)))
    assert {weight.device.type for part in parts.values() for weight in part.parameters()} == {"meta"}
    assert DiffusionEngine(runtime).open(model)._denoiser is None


@pytest.mark.parametrize(("family", "upcast"), [("sdxl", True), ("sd15", False)])
def test_in_half_precision_sdxls_autoencoder_alone_stays_in_fp32(tiny, family, upcast):
    denoiser = UNetDenoiser(tiny(family), torch.float16, torch.device("cpu"), "full")
    assert denoiser.dtype is torch.float16
    assert denoiser.decoder.dtype is (torch.float32 if upcast else torch.float16)


def test_a_file_that_is_no_safetensors_file_is_refused(tmp_path, refusal):
    file = tmp_path / "model.ckpt"
    file.write_bytes(b"\x80\x04")
    assert "neither a diffusers folder nor a .safetensors file" in refusal(
        Model(digest="0", family="sd15", name="x", path=str(file))
    )


def test_a_single_file_that_is_no_checkpoint_says_what_is_missing(tmp_path, refusal):
    file = tmp_path / "model.safetensors"
    save_file({"x": torch.zeros(1)}, file)
    assert "holds no whole unet: weights are missing, 'input_blocks.0.0.weight' for one" in refusal(
        Model(digest="0", family="sd15", name="x", path=str(file))
    )


def _varint(number):
    return bytes([number % 128 + 128]) + _varint(number // 128) if number > 127 else bytes([number])


def _field(number, content):
    return _varint(number << 3 | 2) + _varint(len(content)) + content


def test_a_tokenizer_of_sentencepiece_alone_reads_as_the_same_in_the_other_form(tmp_path, write_model):
    """As CogVideoX and LTX-Video have it; transformers would want another library for it."""
    model = write_model(tmp_path, "cogvideox")
    place, part = tmp_path / "tokenizer", Part(name="tokenizer", kind=T5Tokenizer, weights=False)
    before = tokenizer(part, place)
    pieces = json.loads((place / "tokenizer.json").read_text())["model"]["vocab"]
    content = (_field(1, piece.encode()) + b"\x15" + struct.pack("<f", score) for piece, score in pieces)
    (place / "tokenizer.json").unlink()
    (place / "spiece.model").write_bytes(b"".join(_field(1, each) for each in content))

    after = tokenizer(part, place)

    for text in ("a red circle, on  blue\nbackground", "", "ünknöwn?"):
        assert after(text)["input_ids"] == before(text)["input_ids"]
    assert (after.eos_token_id, after.pad_token_id) == (before.eos_token_id, before.pad_token_id)
    DiffusionEngine(Runtime(device="cpu")).open(model)
    (place / "spiece.model").write_bytes(b"\x0a\xff")
    with pytest.raises(ModelError, match="cannot be read as a tokenizer"):
        tokenizer(part, place)
