"""Making pictures again: from originals to jobs, to a plan, to new pictures, to an answer for each.

The bits of a picture depend on how many went through the denoiser with it, not on which. So pictures of equal batch
sizes are rendered together, in whatever order, and what is missing to a full batch is filled up with copies.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Literal

from batchgen.errors import StoreError, UsageError
from batchgen.events import Listener
from batchgen.job import THINGS, Job, Model
from batchgen.models.clips import check_clip
from batchgen.models.families import FAMILIES
from batchgen.plan.expand import Cell, Coordinates
from batchgen.plan.fields import Confs
from batchgen.plan.names import file_stem
from batchgen.plan.order import batches, depth, in_order
from batchgen.plan.plan import Group, Plan, Reason, clips_built_on, stages_of
from batchgen.reproduce.comparing import Difference, Figures, differences, figures_of_frames
from batchgen.reproduce.originals import Original, Unreadable, pictures_near
from batchgen.reproduce.weights import Weights
from batchgen.run.runner import Work, keeping, run
from batchgen.settings import Settings
from batchgen.store.held import hold
from batchgen.store.history import history
from batchgen.store.layout import RunDirectory
from batchgen.store.media import Seen, frames, look_at
from batchgen.store.record import Record, job_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """An original, and the job by which it is made again."""

    original: Original
    job: Job


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came of making a picture again."""

    file: Path
    verdict: Literal["EXACT", "DIFFERENT", "IMPOSSIBLE"]
    """EXACT: the pixels have the SHA-256 that the record says, and so have those of the original if they are here."""
    id: str | None = None
    """Of the job that was rendered."""
    picture: Path | None = None
    """The new one."""
    figures: Figures | None = None
    """None where there is nothing to compare with, or the sizes differ."""
    differences: tuple[Difference, ...] = ()
    """What differs in how it was made; there may be some although the pixels are the same."""
    note: str = ""
    """What is missing, or why there are no figures."""

    def within(self, tolerance: float | None) -> bool:
        """Whether it is EXACT or, with a `tolerance` in decibels, at least so near."""
        near = tolerance is not None and self.figures is not None and self.figures.psnr >= tolerance
        return self.verdict == "EXACT" or (self.verdict == "DIFFERENT" and near)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """What a run left behind."""

    pictures: Mapping[str, Path]
    """By id."""
    failed: Mapping[str, str]
    """Why, by id."""
    interrupted: bool = False
    """Somebody stopped it."""


def asked_again(
    found: Iterable[Original | Unreadable], confs: Confs, changes: Mapping[str, Any]
) -> list[Again | Answer]:
    """Return for each file the job by which it is made again, or the answer that it cannot be.

    Args:
        found: What the files hold.
        confs: The options of conf/, among whose models the weights are looked for.
        changes: Checked fields to be otherwise than recorded; `model` is the name of an option.

    Raises:
        UsageError: the changed model is not here.
    """
    asking = _Asking(confs, changes)
    again: list[Again | Answer] = []
    for each in found:
        try:
            again.append(asking.of(each))
        except (StoreError, UsageError) as error:
            again.append(Answer(file=each.file, verdict="IMPOSSIBLE", note=error.message))
    return again


class _Asking:
    """Originals become jobs; what they have in common is looked for once."""

    def __init__(self, confs: Confs, changes: Mapping[str, Any]) -> None:
        self._weights = Weights(confs)
        self._model = confs.resolve(changes["model"]) if "model" in changes else None
        self._changes = {name: value for name, value in changes.items() if name != "model"}
        self._sizes: dict[str, int] = {}

    def of(self, found: Original | Unreadable) -> Again:
        """Return the job of what was found; StoreError or UsageError: there is none, or it cannot be rendered."""
        if isinstance(found, Unreadable):
            raise StoreError(found.reason)
        record = found.record
        everything = self._weights.all_of(record, self._model, lambda: pictures_near(found.file))
        if self._changes or self._model:
            model = {} if self._model is None else {"model": self._model.digest}
            record = {**record, "recipe": {**record["recipe"], **self._changes, **model}}
        job = job_of(record, everything)
        if not job.unsampled:
            asked = [name for name in THINGS if getattr(job, name)]
            FAMILIES[job.model.family].check(job.canvas, job.sampling, job.motion, asked=asked)
            check_clip(job.model, job.canvas)
        if self._sizes.setdefault(job.id, found.size) != found.size:
            other = self._sizes[job.id]
            raise StoreError(f"the same job is asked for in a batch of {other} too; reproduce this one by itself")
        return Again(original=found, job=job)


def plan_of(again: Iterable[Again]) -> Plan:
    """Plan everything anew: each model is loaded once, and each batch is as large as it was."""
    cells: dict[str, Cell] = {}
    sizes: dict[str, int] = {}
    stage_sizes: dict[str, int] = {}
    for each in again:
        if each.job.id not in cells:
            cells[each.job.id] = _cell(each)
            sizes[each.job.id] = each.original.size
            stage_sizes |= each.original.stage_sizes
    stages = stages_of(cells, ())
    sizes |= {id_: stage_sizes.get(id_, 1) for id_ in stages}
    cells |= stages
    groups = tuple(_groups(in_order(list(cells.values()), "grouped"), sizes))
    reasons = {cell.job.id: Reason.NEW for group in groups for batch in group.batches for cell in batch}
    return Plan(groups=groups, reasons=reasons, done=(), stale=(), built_on=clips_built_on(cells.values()))


def _cell(each: Again) -> Cell:
    name, note = (each.original.record.get(key) for key in ("name", "note"))
    return Cell(
        coordinates=Coordinates((), ()),
        job=each.job,
        name=name if isinstance(name, str) else None,
        note=note if isinstance(note, str) else None,
    )


def _groups(ordered: Sequence[Cell], sizes: Mapping[str, int]) -> Iterator[Group]:
    # Another precision means that the model is read again, another size does not.
    def loaded(cell: Cell) -> tuple[Model, str, int]:
        return cell.job.model, cell.job.numerics.precision, depth(cell.job)

    for (model, _, _), run_ in groupby(ordered, key=loaded):
        members = list(run_)
        for size in sorted({sizes[cell.job.id] for cell in members}, reverse=True):
            equal = [cell for cell in members if sizes[cell.job.id] == size]
            yield Group(model=model, batches=tuple(batches(equal, size)), size=size)


def render(
    plan: Plan,
    directory: RunDirectory,
    settings: Settings,
    listen: Listener,
    *,
    until: float | None = None,
    may_begin: Callable[[], str | None] | None = None,
) -> Rendered:
    """Render `plan` into `directory`, which holds nothing yet, as any run would; `until` and `may_begin` as in `Work`.

    Raises:
        Interrupted: at the second signal.
        TryLater: the disk is full.
        StoreError: the directory cannot be written.
    """
    work = Work(
        runtime=settings.runtime,
        stem=lambda cell: file_stem(cell, ()),
        compression=settings.output.compression,
        clips=keeping(settings.output),
        changed=settings.changed,
        until=until,
        may_begin=may_begin,
    )
    with hold(directory) as held:
        held.save(manifest=None, settings=settings.save(), plan={"jobs": list(plan.reasons)})
        summary = run(plan, held, work, listen)
    past = history(directory)
    pictures = {id_: done.picture for id_, done in past.done.items() if not done.missing}
    return Rendered(pictures=pictures, failed=past.failed, interrupted=summary.interrupted and summary.left > 0)


def answer(each: Again, rendered: Rendered) -> Answer:
    """Compare an original with what was rendered of it."""
    original, id_ = each.original, each.job.id
    path = rendered.pictures.get(id_)
    if path is None:
        reason = rendered.failed.get(id_, "not rendered: the run was stopped")
        return Answer(file=original.file, verdict="IMPOSSIBLE", id=id_, note=reason)
    new = look_at(path)
    same = new.pixel_sha256 == original.promised
    exact = same and original.seen in (None, original.promised)
    comparable = not exact and original.seen is not None
    apart = figures_of_frames(frames(original.file), frames(path)) if comparable else None
    return Answer(
        file=original.file,
        verdict="EXACT" if exact else "DIFFERENT",
        id=id_,
        picture=path,
        figures=apart,
        differences=differences(original.record, new.record),
        note="; ".join(_notes(original, new, same=same, resized=comparable and apart is None)),
    )


def _notes(original: Original, new: Seen, *, same: bool, resized: bool) -> Iterator[str]:
    if original.seen is None and not same:
        yield "the record alone was given, so there are no pixels to compare with"
    elif original.seen not in (None, original.promised):
        made = "is made again exactly" if same else "is not made again either"
        yield f"the file was altered: its pixels are not those that its record is of; what the record is of {made}"
    if resized:
        yield "the sizes differ"
    elif not same and original.seen is not None and (_lossy(original.record) or _lossy(new.record)):
        containers = " and ".join(str(each["output"].get("container")) for each in (original.record, new.record))
        yield f"the figures are of what was encoded ({containers}), and not of the frames as they were rendered"


def _lossy(record: Record) -> bool:
    """Say whether a record is of a clip that is not kept to the bit."""
    output = record["output"]
    return bool(output.get("decoded_sha256", output["pixel_sha256"]) != output["pixel_sha256"])
