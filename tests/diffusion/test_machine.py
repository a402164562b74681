import json
import subprocess
import sys

import pytest
import torch

from batchgen.diffusion.engine import DiffusionEngine
from batchgen.diffusion.machine import failures_in_words, resolve_precision
from batchgen.engine import Runtime
from batchgen.errors import DeviceLost, EngineError, OutOfMemory

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def test_the_environment_is_json_and_names_what_pixels_depend_on():
    found = json.loads(json.dumps(DiffusionEngine(Runtime(device="cpu")).environment()))
    assert found["libraries"]["torch"] == torch.__version__
    assert all(found["libraries"].values())
    assert found["device"] == "cpu"
    assert found["threads"] >= 1
    assert found["cpu"]


def test_the_threads_of_the_runtime_are_used(request):
    before = torch.get_num_threads()
    request.addfinalizer(lambda: torch.set_num_threads(before))
    assert DiffusionEngine(Runtime(device="cpu", threads=2)).environment()["threads"] == 2


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_a_device_that_is_not_here_is_refused_and_those_that_are_here_named():
    with pytest.raises(EngineError, match=r"runtime.device cuda: .*it finds: cpu"):
        DiffusionEngine(Runtime(device="cuda"))


@pytest.mark.parametrize(
    ("asked", "machine", "family", "device", "wanted"),
    [
        ("auto", "auto", "sd15", CPU, torch.float32),
        ("auto", "auto", "flux", CPU, torch.float32),
        ("auto", "auto", "sdxl", CUDA, torch.float16),
        ("auto", "auto", "flux", CUDA, torch.bfloat16),
        ("auto", "bf16", "sd15", CPU, torch.bfloat16),
        ("fp32", "fp16", "sd15", CUDA, torch.float32),
    ],
)
def test_a_job_decides_its_precision_before_the_machine_and_the_machine_before_the_family(
    asked, machine, family, device, wanted
):
    assert resolve_precision(asked, Runtime(precision=machine), family, device) is wanted


@pytest.mark.parametrize(
    ("raised", "wanted"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB\nmore"), OutOfMemory),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), OutOfMemory),
        (RuntimeError("MPS backend out of memory (MPS allocated: 1 GB)"), OutOfMemory),
        (torch.AcceleratorError("CUDA error: an illegal memory access", 700), DeviceLost),
        (RuntimeError("CUDA error: unspecified launch failure"), DeviceLost),
    ],
)
def test_what_torch_says_of_memory_and_devices_is_told_apart(raised, wanted):
    with pytest.raises(wanted) as caught, failures_in_words():
        raise raised
    assert "\n" not in str(caught.value)


def test_a_mistake_in_the_program_stays_one():
    with pytest.raises(RuntimeError, match="mat1 and mat2"), failures_in_words():
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")


def test_opening_a_model_imports_no_pipelines(tiny):
    program = """
import sys
from batchgen.diffusion.engine import DiffusionEngine
from batchgen.engine import Runtime
from batchgen.job import Model
DiffusionEngine(Runtime(device="cpu")).open(Model(digest="0", family="sd15", name="x", path=sys.argv[1])).close()
print([name for name in sys.modules if name == "diffusers.pipelines"])
"""
    ran = subprocess.run(
        [sys.executable, "-c", program, tiny("sd15").path], capture_output=True, text=True, check=True, timeout=300
    )
    assert ran.stdout.strip() == "[]"
