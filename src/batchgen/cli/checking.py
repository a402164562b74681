"""What is looked at before a run begins: a night must not fail at three for what is known at eleven."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from batchgen.plan.plan import Plan
    from batchgen.settings import Settings


def check_machine(plan: "Plan", folder: Path, settings: "Settings") -> None:
    """See that disk and memory hold what `plan` makes, and that clips can be encoded; print what is doubtful.

    Args:
        plan: What is to be made.
        folder: Where, or where the folder for it will be made.
        settings: How.

    Raises:
        ConfError: there is no ffmpeg for clips.
        TryLater: the disk has no room.
        ModelError: a model does not fit into memory.
    """
    from batchgen.preflight.clips import check_encoder
    from batchgen.preflight.memory import check_memory, memory_of, tight_clips
    from batchgen.preflight.room import check_room
    from batchgen.store.samples import samples

    jobs = [cell.job for group in plan.groups for batch in group.batches for cell in batch]
    runs = (folder, *settings.output.root.glob("*/"))
    here = next(each for each in (folder.absolute(), *folder.absolute().parents) if each.exists())
    check_encoder(jobs, settings.output)
    check_room(jobs, here, lambda: samples(runs, {group.model.digest for group in plan.groups}))
    if jobs and settings.runtime.engine != "fake":  # which holds no weights
        memory = memory_of(settings.runtime)
        warnings = (*check_memory(jobs, settings.runtime, memory), *tight_clips(jobs, settings.runtime, memory))
        for warning in warnings:
            click.echo(f"warning: {warning}", err=True)
