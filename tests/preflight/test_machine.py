import json
import sys

import pytest

from batchgen.engine import Runtime
from batchgen.preflight.machine import _device, ffmpeg, libraries, python

GPU = {"name": "NVIDIA H200", "free": 140 << 30, "total": 141 << 30}
FOUND = {"libraries": {"torch": "2.13.0"}, "cuda": None, "gpus": [], "mps": False, "said": ""}


def printing(text):
    return (sys.executable, "-c", f"print('a library says hello'); print({text!r})")


def asked(found, device="auto"):
    return list(libraries(Runtime(device=device), printing(json.dumps(found))))


def test_python_says_which_one_it_is():
    assert sys.prefix in python().says


def test_the_ffmpeg_that_came_along_starts():
    assert ffmpeg().state == "ok"
    assert ffmpeg().says.startswith("ffmpeg version")


def test_an_ffmpeg_that_is_not_there_is_a_warning(monkeypatch, tmp_path):
    monkeypatch.setenv("IMAGEIO_FFMPEG_EXE", str(tmp_path / "none"))

    assert ffmpeg().state == "warning"
    assert "clips cannot be written" in ffmpeg().says


def test_a_gpu_is_named_with_its_memory():
    torch, gpu = asked(FOUND | {"gpus": [GPU], "cuda": "13.0"})

    assert (torch.state, torch.says) == ("ok", "torch 2.13.0")
    assert (gpu.state, gpu.says) == ("ok", "NVIDIA H200, 150.3 GB of 151.4 GB free")


@pytest.mark.parametrize(
    ("found", "device", "nvidia", "state", "says"),
    [
        ({}, "auto", False, "warning", "none: large models take minutes"),
        ({}, "auto", True, "warning", "which is built without CUDA, cannot use it"),
        (
            {"cuda": "13.0", "said": "driver too old"},
            "auto",
            True,
            "warning",
            "CUDA 13.0, cannot use it: driver too old",
        ),
        ({}, "cuda", False, "wrong", "torch finds no cuda, which runtime asks for"),
        ({"gpus": [GPU]}, "mps", False, "wrong", "torch finds no mps"),
        ({"mps": True}, "auto", False, "ok", "Apple's"),
        ({"gpus": [GPU]}, "cpu", True, "ok", "none is used"),
        ({"gpus": [GPU | {"free": 1 << 30}]}, "auto", True, "warning", "1.1 GB of 151.4 GB free"),
    ],
)
def test_the_device_is_judged_by_what_is_asked_for(found, device, nvidia, state, says):
    gpu = _device(FOUND | found, device, nvidia=nvidia)

    assert gpu.state == state
    assert says in gpu.says


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("import sys; sys.exit('ImportError: no libcudart.so')", "no libcudart.so"),
        ("import os; os.abort()", "exit status -6"),
        ("print('no JSON at all')", "Expecting value"),
    ],
)
def test_libraries_that_do_not_load_are_wrong_and_end_nothing_else(code, says):
    (found,) = libraries(Runtime(), (sys.executable, "-c", code))

    assert (found.state, found.about) == ("wrong", "torch")
    assert says in found.says
    assert sys.prefix in found.mend
