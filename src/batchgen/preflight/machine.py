"""Python, the libraries, the GPU and ffmpeg. torch is asked in a process of its own, so that nothing here loads it."""

import json
import platform
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from batchgen.engine import Runtime
from batchgen.errors import ConfError
from batchgen.preflight.finding import Finding, size
from batchgen.preflight.heat import heat

EXAMINE = (sys.executable, "-P", "-m", "batchgen.diffusion.examine")
_LONGEST = 180.0
"""Seconds. Libraries may come in from a slow disk."""

_FEW = 4 << 30
"""Bytes of GPU memory that the smallest of the usual models wants."""


def python() -> Finding:
    """Say which Python this is; that it is new enough was seen when batchgen was installed."""
    return Finding(state="ok", about="python", says=f"{platform.python_version()} in {sys.prefix}")


def libraries(runtime: Runtime, words: Sequence[str] = EXAMINE) -> Iterator[Finding]:
    """Let a process load the engine as a run would, and say what it found. `words` is its command."""
    try:
        found, said = _asked(words)
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        found, said = None, str(error)
    if found is None:
        mend = f"install batchgen's dependencies again in {sys.prefix}"
        yield Finding(state="wrong", about="torch", says=f"cannot be loaded: {said}", mend=mend)
    else:
        versions = ", ".join(f"{name} {version}" for name, version in found["libraries"].items())
        yield Finding(state="ok", about="torch", says=versions)
        yield _device(found, runtime.device, nvidia=Path("/dev/nvidiactl").exists())


def temperature(runtime: Runtime) -> Iterator[Finding]:
    """Look whether a limit that `runtime` sets can be held; nothing is said where it sets none."""
    try:
        watched = heat(runtime)
    except ConfError as error:
        yield Finding(state="wrong", about="temperature", says=error.message, mend="runtime.max_gpu_temperature=null")
        return
    if watched:
        reason = watched()
        says = f"{reason}: a run waits until it has cooled" if reason else "below runtime.max_gpu_temperature"
        yield Finding(state="warning" if reason else "ok", about="temperature", says=says)


def ffmpeg() -> Finding:
    """Look for the ffmpeg that came with imageio-ffmpeg, and start it."""
    try:
        import imageio_ffmpeg  # noqa: PLC0415 - nothing else here needs it

        program = imageio_ffmpeg.get_ffmpeg_exe()
        done = subprocess.run([program, "-version"], capture_output=True, text=True, check=True, timeout=60)
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError) as error:
        mend = "install imageio-ffmpeg again, or name one: IMAGEIO_FFMPEG_EXE=/path/to/ffmpeg"
        says = f"cannot be started, so that clips cannot be written: {_one_line(str(error))}"
        return Finding(state="warning", about="ffmpeg", says=says, mend=mend)
    return Finding(state="ok", about="ffmpeg", says=" ".join(done.stdout.split()[:3]))


def _asked(words: Sequence[str]) -> tuple[dict[str, Any] | None, str]:
    done = subprocess.run(words, capture_output=True, text=True, timeout=_LONGEST, check=False)
    if done.returncode:
        return None, _one_line(done.stderr) or f"exit status {done.returncode}"
    # The last line: libraries may print before it.
    return json.loads(done.stdout.strip().rpartition("\n")[2]), ""


def _one_line(text: str) -> str:
    return next((line.strip() for line in reversed(text.splitlines()) if line.strip()), "")[:300]


def _device(found: dict[str, Any], asked: str, *, nvidia: bool) -> Finding:
    """Say what the pictures will be rendered on; `nvidia`: the system has the driver of an NVIDIA GPU."""
    if asked == "cpu":
        return Finding(state="ok", about="gpu", says="none is used: runtime.device is cpu")
    if found["gpus"] and asked in ("auto", "cuda"):
        return _gpus(found)
    if found["mps"] and asked in ("auto", "mps"):
        return Finding(state="ok", about="gpu", says="Apple's (mps)")
    reason = f": {found['said']}" if found["said"] else ""
    if asked != "auto":
        mend = "runtime=auto takes what is there"
        return Finding(
            state="wrong", about="gpu", says=f"torch finds no {asked}, which runtime asks for{reason}", mend=mend
        )
    if nvidia:
        built = f"is built for CUDA {found['cuda']}" if found["cuda"] else "is built without CUDA"
        says = f"there is an NVIDIA driver, but torch, which {built}, cannot use it{reason}"
        return Finding(
            state="warning", about="gpu", says=says, mend="install a torch that fits the driver (nvidia-smi)"
        )
    return Finding(state="warning", about="gpu", says="none: large models take minutes a picture on the CPU")


def _gpus(found: dict[str, Any]) -> Finding:
    says = ", ".join(f"{gpu['name']}, {size(gpu['free'])} of {size(gpu['total'])} free" for gpu in found["gpus"])
    first = found["gpus"][0]
    if first["free"] < min(_FEW, first["total"] // 2):
        return Finding(state="warning", about="gpu", says=says, mend="end the program that fills it (nvidia-smi)")
    return Finding(state="ok", about="gpu", says=says)
