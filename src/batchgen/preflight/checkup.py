"""Every check of `batchgen doctor`, in the order in which one depends on another."""

from collections.abc import Iterator

from batchgen.preflight import machine, memory, places, weights
from batchgen.preflight.finding import Finding
from batchgen.settings import Settings


def checkup(settings: Settings) -> Iterator[Finding]:
    """Look at this machine as a run with `settings` would find it."""
    yield machine.python()
    yield from machine.libraries(settings.runtime)
    yield from machine.temperature(settings.runtime)
    yield machine.ffmpeg()
    yield from places.output(settings.output.root)
    yield places.cache(settings.paths.cache)
    yield from weights.folders(settings)
    yield from weights.options(settings)
    yield from memory.options(settings)
