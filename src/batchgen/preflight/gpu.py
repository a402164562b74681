"""The GPUs of this machine as their drivers tell of them; nothing here loads torch.

NVIDIA's driver is asked through `nvidia-smi`, which comes with it. AMD's keeps what is asked here in /sys.
"""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

_ASK = ("--query-gpu=memory.total,memory.free,temperature.gpu,name", "--format=csv,noheader,nounits")
_LONGEST = 20.0
"""Seconds. A driver that nobody uses may have to be woken first."""

_MIB = 1 << 20
_DRM = Path("/sys/class/drm")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """An NVIDIA GPU; None is what its driver does not say, as of memory that it shares with the CPU."""

    name: str
    total: int | None
    """Bytes of memory."""
    free: int | None
    """Bytes of it that nobody uses."""
    temperature: int | None
    """Degrees Celsius."""


def gpus() -> tuple[Gpu, ...]:
    """Return the NVIDIA GPUs; none where there is no `nvidia-smi`, or where it fails."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return ()
    try:
        done = subprocess.run([program, *_ASK], capture_output=True, text=True, timeout=_LONGEST, check=True)
    except (OSError, ValueError, subprocess.SubprocessError):
        return ()
    return tuple(_gpu(line) for line in done.stdout.splitlines() if line.count(",") >= 3)


def hottest(drm: Path = _DRM) -> int | None:
    """Return the temperature of the hottest GPU in degrees Celsius; None where none can be read.

    `drm` is where Linux lists graphics cards; they are looked at only where NVIDIA's driver says nothing, because a
    processor with graphics of its own is listed there, too.
    """
    found = [gpu.temperature for gpu in gpus() if gpu.temperature is not None]
    return max(found or _listed(drm), default=None)


def _gpu(line: str) -> Gpu:
    total, free, temperature, name = (part.strip() for part in line.split(",", 3))
    return Gpu(name=name, total=_number(total, _MIB), free=_number(free, _MIB), temperature=_number(temperature))


def _number(text: str, unit: int = 1) -> int | None:
    # What a driver does not know is `[N/A]` or `[Not Supported]`.
    return int(text) * unit if text.isdecimal() else None


def _listed(drm: Path) -> list[int]:
    found = []
    for file in drm.glob("card*/device/hwmon/hwmon*/temp1_input"):
        try:
            found.append(int(file.read_text(encoding="ascii")) // 1000)
        except (OSError, ValueError):  # a card that sleeps cannot be read
            continue
    return found
