"""A plan: the jobs still to make, grouped by what is loaded, each with the reason why it must be made."""

from collections import deque
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby, islice

from batchgen.job import UPSCALER, Lora, Model
from batchgen.plan.expand import Cell, Coordinates
from batchgen.plan.order import Batch, Order, batches, in_order


class Reason(StrEnum):
    """What the store found of a job, or why it must be made."""

    NEW = "new"
    DONE = "done"
    PICTURE_MISSING = "picture missing"
    FRAMES_MISSING = "frames missing"
    """A clip is there, but not its frames as they were rendered, without which nothing can begin with them."""
    STAGE = "first stage"


THERE = frozenset({Reason.DONE, Reason.FRAMES_MISSING})
"""What is published."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Batches that share a loaded model."""

    model: Model
    batches: tuple[Batch, ...]
    size: int = 0
    """Pictures in every forward pass: a smaller batch is filled up with copies, for bits depend on the size. 0 fills up
    none."""

    @property
    def jobs(self) -> int:
        """How many jobs it makes."""
        return sum(len(batch) for batch in self.batches)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What a run has to do."""

    groups: tuple[Group, ...]
    """In the order of work."""
    reasons: Mapping[str, Reason]
    """Id -> why it must be made, in the order of work."""
    done: tuple[str, ...]
    """Ids that are asked for and there."""
    stale: tuple[str, ...]
    """Ids that are there and no longer asked for."""
    rejected: tuple[str, ...] = ()
    """Ids that are asked for and that a person rejected, there or not: neither done nor to make. One that something
    else begins with may have to be made all the same, as a stage."""
    built_on: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Ids of the jobs to make that begin with frames of a clip, by the id of the clip."""

    @property
    def asked(self) -> int:
        """Different jobs that are asked for; stages that nobody asks for by themselves are none of them."""
        own = sum(reason is not Reason.STAGE for reason in self.reasons.values())
        return own + len(self.done) + len(self.rejected)

    @property
    def wanted(self) -> int:
        """Different jobs that are asked for and not rejected, or built on."""
        return len(self.reasons) + len(self.done)

    @property
    def to_make(self) -> int:
        """Jobs that are not there."""
        return len(self.reasons)

    @property
    def loads(self) -> int:
        """How often a model is read: for another precision again. An upscaler stays beside the model that denoises."""
        kinds = ([each for each in self._loaded() if (each[0].family == UPSCALER) is small] for small in (False, True))
        return sum(1 for loaded in kinds for _ in groupby(loaded))

    @property
    def load_bound(self) -> int:
        """How often a model must be read at least: once in each precision that is asked of it."""
        return len(set(self._loaded()))

    @property
    def switches(self) -> int:
        """How often other adapters are laid beside a model's weights than before."""
        return sum(1 for (_, loras), _ in groupby(self._dressed()) if loras)

    @property
    def switch_bound(self) -> int:
        """How often that must be at least: once for each set of adapters that is asked of each model."""
        return len({each for each in self._dressed() if each[1]})

    def _dressed(self) -> Iterator[tuple[tuple[Model, str], tuple[Lora, ...]]]:
        for group in self.groups:
            for batch in group.batches if group.model.family != UPSCALER else ():
                yield (group.model, batch[0].job.numerics.precision), batch[0].job.loras

    def _loaded(self) -> Iterator[tuple[Model, str]]:
        for group in self.groups:
            for batch in group.batches:
                yield group.model, batch[0].job.numerics.precision

    def first(self, most: int | None) -> "Plan":
        """Return the plan of the first `most` jobs to make; None keeps all."""
        if most is None or most >= self.to_make:
            return self
        kept = list(islice(self.reasons.items(), most))
        return replace(self, groups=_cut(self.groups, most), reasons=dict(kept))


def make_plan(
    cells: Iterable[Cell],
    known: Mapping[str, Reason],
    *,
    batch: int,
    order: Order = "grouped",
    begun: Iterable[Sequence[str]] = (),
    rejected: Container[str] = (),
) -> Plan:
    """Plan the jobs of `cells` that are neither there nor rejected.

    Args:
        cells: Everything that is asked for. Cells of equal jobs are made once, under the first one's name.
        known: What the store found, by id; what is not in it is new.
        batch: Jobs in one forward pass at most, at least 1.
        order: What comes first within a model.
        begun: Ids of batches whose denoising was interrupted: each that is still to be made whole is formed again.
        rejected: Ids of what a person does not want. What is there of it serves as a stage as before.
    """
    unique: dict[str, Cell] = {}
    for cell in cells:
        unique.setdefault(cell.job.id, cell)
    wanted = {id_: cell for id_, cell in unique.items() if id_ not in rejected}
    there = {id_ for id_, reason in known.items() if reason in THERE}
    there -= _without_frames(wanted, known, there)
    stages = stages_of(wanted, there)
    to_make = (wanted.keys() | stages.keys()) - there
    # All cells are put in order, so that what is done or rejected does not change the order of the rest.
    ordered = [cell for cell in in_order([*(unique | stages).values()], order) if cell.job.id in to_make]
    return Plan(
        groups=_groups(ordered, batch, tuple(begun)),
        reasons={
            cell.job.id: Reason.STAGE if cell.job.id in stages else known.get(cell.job.id, Reason.NEW)
            for cell in ordered
        },
        done=tuple(id_ for id_ in wanted if id_ in there),
        stale=tuple(id_ for id_ in known if id_ in there and id_ not in unique),
        rejected=tuple(id_ for id_ in unique if id_ not in wanted),
        built_on=clips_built_on(ordered),
    )


def clips_built_on(cells: Iterable[Cell]) -> Mapping[str, frozenset[str]]:
    """Return ids of jobs that begin with frames of a clip, by the id of the clip."""
    found: dict[str, set[str]] = {}
    for job in (cell.job for cell in cells):
        for stage in job.stages:
            if stage.clip:
                found.setdefault(stage.id, set()).add(job.id)
    return {id_: frozenset(jobs) for id_, jobs in found.items()}


def _without_frames(unique: Mapping[str, Cell], known: Mapping[str, Reason], there: Container[str]) -> set[str]:
    """Return ids of clips that are there and must be made again all the same: something begins with their frames."""
    made = {id_: cell.job for id_, cell in unique.items() if id_ not in there}
    waiting = deque(made.values())
    while waiting:
        for stage in waiting.popleft().stages:
            lacks = known.get(stage.id) is Reason.FRAMES_MISSING
            if stage.id not in made and (lacks or stage.id not in there):
                made[stage.id] = stage
                waiting.append(stage)
    return {id_ for id_ in made if known.get(id_) is Reason.FRAMES_MISSING}


def stages_of(unique: Mapping[str, Cell], there: Container[str]) -> dict[str, Cell]:
    """Return what must be made first and nobody asks for, by id.

    Args:
        unique: What is asked for, by id.
        there: Ids of what is made already.
    """
    found: dict[str, Cell] = {}
    waiting = deque((cell, stage) for id_, cell in unique.items() if id_ not in there for stage in cell.job.stages)
    while waiting:
        cell, stage = waiting.popleft()
        if stage.id not in there and stage.id not in found:
            if stage.id not in unique:
                # It is none of the sweep's places, so what varies there is no part of its name.
                found[stage.id] = replace(cell, job=stage, coordinates=Coordinates((), ()))
            waiting.extend((cell, deeper) for deeper in stage.stages)
    return found


def _cut(groups: Iterable[Group], most: int) -> tuple[Group, ...]:
    found = []
    for group in groups:
        kept = []
        for batch in group.batches:
            kept.append(batch[:most])
            most -= len(kept[-1])
        if kept := [batch for batch in kept if batch]:
            found.append(replace(group, batches=tuple(kept)))
    return tuple(found)


def _groups(ordered: Sequence[Cell], batch: int, begun: Sequence[Sequence[str]]) -> tuple[Group, ...]:
    runs = groupby(ordered, key=lambda cell: cell.job.model)
    return tuple(Group(model=model, batches=tuple(batches(run, batch, begun))) for model, run in runs)
