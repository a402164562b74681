"""A GPU that is too hot gets no new batch until it has cooled."""

import time
from collections.abc import Callable

from batchgen.engine import Runtime
from batchgen.errors import ConfError
from batchgen.preflight.gpu import hottest

SECONDS_BETWEEN_LOOKS = 5.0

COOLER = 5
"""Degrees below the limit at which work goes on. At the limit itself it would stop again at once."""

Thermometer = Callable[[], int | None]


class Heat:
    """Says why no batch may begin now. A thermometer that fails in the night stops nothing: a GPU guards itself."""

    def __init__(self, limit: int, read: Thermometer = hottest, clock: Callable[[], float] = time.monotonic) -> None:
        """Allow `limit` degrees Celsius."""
        self._limit, self._read, self._clock = limit, read, clock
        self._looked: float | None = None
        self._hot: int | None = None

    def __call__(self) -> str | None:
        """Return the reason, or None."""
        now = self._clock()
        if self._looked is None or now - self._looked >= SECONDS_BETWEEN_LOOKS:
            self._looked = now
            found = self._read()
            allowed = self._limit if self._hot is None else self._limit - COOLER
            self._hot = found if found is not None and found > allowed else None
        return None if self._hot is None else f"GPU at {self._hot} degrees, limit {self._limit}"


def heat(runtime: Runtime, read: Thermometer = hottest) -> Heat | None:
    """Return what looks after the limit that `runtime` sets, or None if it sets none.

    Raises:
        ConfError: no temperature can be read.
    """
    limit = runtime.max_gpu_temperature
    if limit is None:
        return None
    if read() is None:
        reason = "no temperature of a GPU can be read here (nvidia-smi, or AMD's driver, says none); null asks for none"
        raise ConfError(reason, where=f"runtime.max_gpu_temperature={limit}")
    return Heat(limit, read)
