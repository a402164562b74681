"""The machine under the model: which device, which number format, and what else pixels may depend on."""

import gc
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import torch

from batchgen.engine import Runtime
from batchgen.errors import DeviceLost, EngineError, OutOfMemory
from batchgen.models.precision import held_in

DTYPES: Mapping[str, torch.dtype] = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}
"""Number formats by the names of the field `precision`."""

_LIBRARIES = (
    *("torch", "diffusers", "transformers", "safetensors", "tokenizers", "accelerate"),
    *("numpy", "scipy", "pillow"),
)


def set_up(runtime: Runtime) -> torch.device:
    """Return the device to use, and make torch compute on it in the same way every time.

    Raises:
        EngineError: the device asked for is not on this machine.
    """
    device = _device(runtime.device)
    if runtime.threads:
        torch.set_num_threads(runtime.threads)
    # The fastest convolution is chosen by timing otherwise, so that two runs could differ.
    torch.backends.cudnn.benchmark = False
    torch.backends.cudnn.deterministic = True
    # TF32 keeps 10 bits of the mantissa; "fp32" should mean fp32.
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    return device


def _device(asked: str) -> torch.device:
    here = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if asked == "auto":
        asked = next(name for name, found in here.items() if found)
    if not here[asked]:
        found = ", ".join(name for name in here if here[name])
        raise EngineError(f"runtime.device {asked}: torch {torch.__version__} finds none here (it finds: {found})")
    return torch.device(asked)


def resolve_precision(asked: str, runtime: Runtime, family: str, device: torch.device) -> torch.dtype:
    """Return the number format for weights, by the rule of `models/precision.py`."""
    return DTYPES[held_in(asked, runtime.precision, family, device.type)]


def name_of(dtype: torch.dtype) -> str:
    """Return the field `precision`'s name of a number format."""
    return next((name for name, each in DTYPES.items() if each == dtype), str(dtype))


@contextmanager
def failures_in_words() -> Iterator[None]:
    """Turn what torch says of memory and devices into the errors that a run knows how to go on from."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise OutOfMemory(f"out of memory: {_first_line(error)}") from error
    except RuntimeError as error:
        # The CPU's allocator and Apple's have no exception of their own.
        line = _first_line(error)
        if "can't allocate memory" in line or "out of memory" in line:
            raise OutOfMemory(f"out of memory: {line}") from error
        if isinstance(error, torch.AcceleratorError) or "CUDA error" in line:
            raise DeviceLost(f"the device failed: {line}") from error
        raise


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]


def give_back_memory(device: torch.device) -> None:
    """Let go of what nothing refers to any more, also what torch holds ready of the device's memory."""
    gc.collect()
    if device.type == "cuda":
        torch.cuda.empty_cache()


def describe(device: torch.device) -> dict[str, Any]:
    """Return versions, device and flags as JSON values: what the pixels of one recipe may differ by."""
    found: dict[str, Any] = {
        "python": platform.python_version(),
        "os": platform.platform(),
        "cpu": _cpu_name(),
        "libraries": {name: _version(name) for name in _LIBRARIES},
        "torch_git": torch.version.git_version,
        "device": device.type,
        "device_name": _device_name(device),
        "threads": torch.get_num_threads(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "deterministic_algorithms": torch.are_deterministic_algorithms_enabled(),
    }
    if device.type == "cuda":
        cudnn: Any = torch.backends.cudnn  # torch has not typed it
        found |= {
            "cuda": torch.version.cuda,
            "hip": torch.version.hip,
            "cudnn": cudnn.version(),
            "cudnn_benchmark": torch.backends.cudnn.benchmark,
            "cudnn_deterministic": torch.backends.cudnn.deterministic,
            "allow_tf32": torch.backends.cuda.matmul.allow_tf32 or cudnn.allow_tf32,
            "cublas_workspace": os.environ.get("CUBLAS_WORKSPACE_CONFIG"),
        }
    return found


def _version(library: str) -> str | None:
    if library == "torch":
        return str(torch.__version__)
    try:
        return version(library)
    except PackageNotFoundError:
        return None


def _device_name(device: torch.device) -> str:
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()


def _cpu_name() -> str:
    """Return the processor's name, which Linux alone keeps in a file; elsewhere Python knows one."""
    cpuinfo = Path("/proc/cpuinfo")
    if sys.platform == "linux" and cpuinfo.exists():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
