"""Clips that become one: which cells of a sweep stand behind one another, and which frames are there twice. Pure."""

import hashlib
from collections.abc import Hashable
from dataclasses import dataclass
from itertools import pairwise

from batchgen.errors import ManifestError, unknown_name
from batchgen.job import Job, Stage
from batchgen.manifest import Manifest
from batchgen.plan.expand import Cell, Sweep


@dataclass(frozen=True, slots=True, kw_only=True)
class Join:
    """Clips that become one, in order."""

    cells: tuple[Cell, ...]
    axes: tuple[str, ...]
    """Those along which the clips differ: the bundle, and what is zipped with it."""

    @property
    def id(self) -> str:
        """Names what comes of it: 64 hex digits."""
        return hashlib.sha256("\n".join(cell.job.id for cell in self.cells).encode()).hexdigest()

    @property
    def begins(self) -> tuple[int, ...]:
        """How many frames of each clip are left out: its first, where that is the last one of the clip before."""
        return (0, *(int(_goes_on(after.job, before.job)) for before, after in pairwise(self.cells)))

    @property
    def frames(self) -> int:
        """How many there are in all."""
        return sum(cell.job.motion.frames for cell in self.cells) - sum(self.begins)

    def __str__(self) -> str:
        return " and ".join(cell.job.id[:8] for cell in self.cells)


def joins(sweep: Sweep, manifest: Manifest) -> tuple[Join, ...]:
    """Return what a manifest wants joined: one for each combination that has all of the options.

    Args:
        sweep: What is asked for.
        manifest: With the command line's words.

    Raises:
        ManifestError: as `bundle_of`; or an option makes no clip, or clips differ in size or speed.
    """
    if not manifest.join:
        return ()
    where = manifest.where(("join",))
    axis = bundle_of(manifest)
    together = next((group for group in manifest.zip if axis in group), (axis,))
    places: dict[Hashable, dict[str, Cell]] = {}
    for cell in sweep.cells:
        place = tuple(value for name, value in cell.coordinates.items() if name not in together)
        places.setdefault(place, {})[cell.coordinates[axis]] = cell
    whole = [found for found in places.values() if found.keys() >= set(manifest.join)]
    if not whole:
        raise ManifestError(f"join: no combination has all of {', '.join(manifest.join)}", where=where)
    made = tuple(Join(cells=tuple(found[name] for name in manifest.join), axes=together) for found in whole)
    for join in made:
        _alike(join, axis, where)
    return made


def bundle_of(manifest: Manifest) -> str:
    """Return the bundle that has the options to join.

    Raises:
        ManifestError: there is none. It is about the one that has most of them.
    """
    wanted = set(manifest.join)
    if not manifest.bundles:
        raise ManifestError("join: names options of a bundle, and there is none", where=manifest.where(("join",)))
    name, options = max(manifest.bundles.items(), key=lambda bundle: len(wanted & bundle[1].keys()))
    for i, option in enumerate(manifest.join):
        if option not in options:
            message = f"join: {unknown_name(f'option of {name}', option, options)}"
            raise ManifestError(message, where=manifest.where(("join", i)))
    return name


def _alike(join: Join, axis: str, where: str | None) -> None:
    """Refuse pictures, and clips that one file cannot have both."""
    said = []
    for job, name in ((cell.job, cell.coordinates[axis]) for cell in join.cells):
        if not job.clip:
            raise ManifestError(f"join: {name} is a picture; clips are joined", where=where)
        said.append(f"{name} is {job.canvas.width}x{job.canvas.height} with {job.motion.fps:g} frames a second")
    first = join.cells[0].job
    for cell, other in zip(join.cells[1:], said[1:], strict=True):
        if (cell.job.canvas, cell.job.motion.fps) != (first.canvas, first.motion.fps):
            raise ManifestError(f"join: {said[0]}, and {other}; one clip has one of each", where=where)


def _goes_on(after: Job, before: Job) -> bool:
    """Say whether `after` begins with the last frame of `before`, each of them made larger or not."""
    source = after.denoised.init_image
    ids = (before.id, before.denoised.id)
    return isinstance(source, Stage) and source.job.id in ids and source.frame == source.job.motion.frames
