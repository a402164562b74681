import json
import math
import shutil

import pytest

from batchgen.engine import Runtime
from batchgen.errors import ModelError
from batchgen.job import Model, make_job
from batchgen.models.precision import held_in
from batchgen.preflight.gpu import Gpu
from batchgen.preflight.memory import Memory, check_memory, memory_of, needed, options
from batchgen.settings import Words, load_settings
from batchgen.shipped import shipped_model

GIB = 1 << 30
CARD = Gpu(name="a card", total=8 * GIB, free=6 * GIB, temperature=40)


def model(path=None, family="sd15"):
    return Model(digest="a" * 64, family=family, name="toy", path=str(path or shipped_model("demo_shapes")))


def job(of=None, precision="auto"):
    values = {"prompt": "a heron", "seed": 0, "width": 64, "height": 64, "precision": precision}
    return make_job(
        of or model(), values | {"sampler": "euler", "schedule": "normal", "steps": 3, "guidance_scale": 2.0}
    )


def on_gpu(total, free=None):
    return Memory(device="cuda", total=total, free=total if free is None else free)


def checkpoint(path, **shapes):
    """Write the header of a checkpoint, with data that takes no room."""
    tensors, end = {}, 0
    for name, shape in shapes.items():
        size = 4 * math.prod(shape)
        tensors[name.replace("__", ".")] = {"dtype": "F32", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    header = json.dumps(tensors).encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + end)
    return path


def test_weights_are_counted_in_the_format_they_will_be_held_in_not_in_that_of_the_file():
    from safetensors import safe_open

    numbers = 0
    for part in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model", "text_encoder/model"):
        with safe_open(shipped_model("demo_shapes") / f"{part}.safetensors", "numpy") as file:
            numbers += sum(file.get_tensor(name).size for name in file.keys())  # noqa: SIM118 - it has no __iter__

    assert needed(model(), "fp32") == 4 * numbers
    assert needed(model(), "fp16") == needed(model(), "bf16") == 2 * numbers


def test_of_a_single_file_what_is_for_training_is_left_out(tmp_path):
    path = checkpoint(tmp_path / "a.safetensors", unet__weight=[1000, 1000], model_ema__weight=[1000, 1000])

    assert needed(model(path), "fp16") == 2_000_000


def test_a_model_that_no_gpu_of_this_size_holds_is_refused_with_both_numbers_and_what_helps(tmp_path):
    flux = model(checkpoint(tmp_path / "flux.safetensors", weight=[6000, 1000, 1000]), "flux")

    with pytest.raises(ModelError) as caught:
        check_memory([job(flux)], Runtime(), on_gpu(8 * GIB))

    assert str(caught.value) == (
        "model toy: its weights take 12.0 GB in bf16, and the GPU's memory has 8.6 GB; "
        "runtime.memory=offload takes a part at a time"
    )


def test_the_precision_that_a_job_asks_for_counts(tmp_path):
    flux = model(checkpoint(tmp_path / "flux.safetensors", weight=[3000, 1000, 1000]), "flux")

    assert check_memory([job(flux)], Runtime(), on_gpu(8 * GIB)) == []
    with pytest.raises(ModelError, match=r"12\.0 GB in fp32.* or runtime\.precision=bf16 takes half"):
        check_memory([job(flux), job(flux, "fp32")], Runtime(), on_gpu(8 * GIB))


@pytest.mark.parametrize("memory", ["encode_first", "offload", "sequential"])
def test_of_a_model_that_comes_in_parts_nothing_is_known(memory):
    assert check_memory([job()], Runtime(memory=memory), on_gpu(1)) == []


def test_a_processor_has_to_hold_all_of_it_whatever_is_asked_for():
    with pytest.raises(ModelError, match="this machine's memory has 1 B"):
        check_memory([job()], Runtime(memory="offload"), Memory(device="cpu", total=1, free=1))


def test_a_model_that_would_fit_if_others_made_room_is_warned_of():
    (warning,) = check_memory([job()], Runtime(), on_gpu(8 * GIB, free=1000))

    assert warning.startswith("model toy: its weights take ")
    assert "and 1.0 kB of the GPU's memory are free; end the programs that fill it" in warning


def test_where_nobody_says_how_much_there_is_nothing_is_refused():
    assert check_memory([job()], Runtime(), Memory(device="cuda", total=None, free=None)) == []


def test_the_fake_engine_holds_no_weights():
    assert check_memory([job()], Runtime(engine="fake"), on_gpu(1)) == []


def test_of_several_gpus_the_largest_counts():
    found = memory_of(Runtime(device="cuda"), [CARD, Gpu(name="b", total=None, free=None, temperature=None)])

    assert found == Memory(device="cuda", total=8 * GIB, free=6 * GIB)


@pytest.mark.parametrize("hidden", ["", "-1"])
def test_gpus_that_are_hidden_from_torch_are_not_meant(monkeypatch, hidden):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", hidden)

    assert memory_of(Runtime(device="auto"), [CARD]).device != "cuda"


def test_a_processor_has_the_memory_that_linux_says():
    found = memory_of(Runtime(device="cpu"))

    assert found.device == "cpu"
    assert 0 < found.free <= found.total


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
@pytest.mark.parametrize("family", ["sd15", "sdxl", "flux"])
@pytest.mark.parametrize("machine", ["auto", "fp32", "fp16", "bf16"])
def test_the_session_holds_weights_in_the_format_that_is_counted_with(device, family, machine):
    import torch

    from batchgen.diffusion.machine import name_of, resolve_precision

    for asked in ("auto", "fp32", "fp16", "bf16"):
        held = resolve_precision(asked, Runtime(precision=machine), family, torch.device(device))
        assert name_of(held) == held_in(asked, machine, family, device)


@pytest.fixture
def found_by_doctor(tmp_path, nvidia_smi, monkeypatch):
    """What is said of the models of a folder, with a GPU of so many MiB."""
    monkeypatch.setenv("PATH", nvidia_smi.path)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    (tmp_path / "conf/model").mkdir(parents=True)
    shutil.copytree(shipped_model("demo_shapes"), tmp_path / "mine")
    (tmp_path / "conf/model/mine.yaml").write_text(f"family: sd15\nsource: {{folder: {tmp_path / 'mine'}}}\n")

    def look(total, device="cuda"):
        nvidia_smi.says(f"{total}, {total}, 40, a card")
        settings = load_settings(Words(settings=(("runtime.device", device),)), cwd=tmp_path)
        return {each.about: each.state for each in options(settings)}

    return look


def test_doctor_says_of_every_model_that_is_here_whether_the_gpu_holds_it(found_by_doctor):
    assert found_by_doctor(24_000) == {
        "memory for demo_motion": "ok",
        "memory for demo_shapes": "ok",
        "memory for mine": "ok",
    }


def test_only_a_model_that_is_used_without_being_named_has_to_fit(found_by_doctor):
    assert found_by_doctor(1) == {
        "memory for demo_motion": "warning",
        "memory for demo_shapes": "wrong",
        "memory for mine": "warning",
    }


def test_without_a_gpu_doctor_says_nothing_of_its_memory(found_by_doctor):
    assert found_by_doctor(24_000, "cpu") == {}
