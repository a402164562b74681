"""`batchgen plan`: what `run` would do with the same words, and why. It renders nothing and writes nothing."""

from collections import Counter
from typing import TYPE_CHECKING, Any

import click

from batchgen.cli.asking import Asked, Request, ask, asking, growing, near

if TYPE_CHECKING:
    from batchgen.plan.plan import Group, Plan
    from batchgen.preflight.clip_memory import ClipMemory, Memory
    from batchgen.store.held import Held
    from batchgen.store.history import History


@click.command(short_help="Say what run would do, and why; render nothing.")
@asking
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="As for `run`: at most N pictures.")
@click.option("--jobs", "each", is_flag=True, help="A line for each picture to make, with its reason.")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a run directory, for programs.")
def plan(request: Request, limit: int | None, each: bool, as_json: bool) -> int:
    """Say what `batchgen run` would do with the same words, and why; render nothing.

    \b
    batchgen plan demo
    batchgen plan demo steps=10,20,40 --jobs
    batchgen plan demo --json | jq .to_make
    """
    import json

    from batchgen.store.history import history

    for asked in ask(request):
        made = plan_of(asked, history(asked.directory))[0].first(limit)
        if as_json:
            click.echo(json.dumps(_facts(asked, made), ensure_ascii=False, indent=2))
        else:
            click.echo("\n".join(in_words(asked, made, each=each)))
    return 0


def plan_of(asked: Asked, found: "History | Held") -> "tuple[Plan, int]":
    """Plan what is asked for beside what was `found` in the run directory; return the batch size with it."""
    from batchgen.plan.plan import make_plan
    from batchgen.run.batches import choose_batch, kept_batch
    from batchgen.store.interrupted import interrupted

    canvases = (cell.job.canvas for cell in asked.sweep.cells)
    frames = max((cell.job.motion.frames for cell in asked.sweep.cells), default=1)
    batch = choose_batch(asked.settings.runtime, canvases, kept_batch(asked.directory), frames=frames)
    with growing():
        begun = interrupted(asked.directory)
        made = make_plan(
            asked.sweep.cells,
            found.known,
            batch=batch,
            order=asked.manifest.order,
            begun=begun,
            rejected=found.rejected,
        )
    return made, batch


def in_words(asked: Asked, made: "Plan", *, each: bool) -> list[str]:
    """Return the lines that tell of a plan; `each`: one for every picture, too."""
    from batchgen.cli.progress import count

    what = asked.what
    numbers = [f"{count(made.asked, what)} asked for", f"{len(made.done):,} there", f"{made.to_make:,} to make"]
    numbers += [f"{len(made.rejected):,} rejected"] if made.rejected else []
    lines = [
        f"{near(asked.directory.root)}: {', '.join(numbers)}",
        *(f"  {group.model.name} ({group.model.family}): {_counted(group, what)}" for group in made.groups),
        *(_clip_in_words(clip, how) for clip, how in _clips(asked, made)),
    ]
    if made.groups:
        lines.append(f"model loads: {made.loads} (at least {made.load_bound})")
        if made.switches:
            lines.append(f"adapter switches: {made.switches} (at least {made.switch_bound})")
        lines.append(_estimated(asked, made))
    reasons = Counter(str(reason) for reason in made.reasons.values())
    if reasons:
        lines.append("why: " + ", ".join(f"{count} {reason}" for reason, count in reasons.most_common()))
    if asked.sweep.excluded:
        lines.append(f"excluded: {asked.sweep.excluded} of {asked.sweep.product} combinations")
    if asked.joins:
        lines.append(f"joined when all are made: {count(len(asked.joins), 'clip')} of {len(asked.joins[0].cells)} each")
    if made.stale:
        lines.append(f"no longer asked for: {len(made.stale)} {what}s, which stay where they are")
    lines += [f"note: {note}" for note in asked.sweep.notes]
    lines += [f"warning: {warning}" for warning in (*asked.sweep.warnings, *asked.sweep.overruled)]
    if each:
        lines += [f"{reason}: {stem}" for stem, reason in _jobs(asked, made)]
    return lines


def _clips(asked: Asked, made: "Plan") -> "list[tuple[ClipMemory, Memory]]":
    """Return each kind of clip, with where its model's weights will be."""
    from batchgen.preflight.clip_memory import clips
    from batchgen.preflight.memory import memory_of

    jobs = [cell.job for group in made.groups for batch in group.batches for cell in batch]
    if not any(job.clip for job in jobs):
        return []
    runtime = asked.settings.runtime
    device = memory_of(runtime).device
    return [(clip, runtime.memory if device == "cuda" else "full") for clip in clips(jobs, runtime, device)]


def _clip_in_words(clip: "ClipMemory", how: "Memory") -> str:
    from batchgen.preflight.finding import size

    return f"  {clip}: about {size(clip.bytes[how])} of memory (runtime.memory={how})"


def _counted(group: "Group", what: str) -> str:
    from batchgen.cli.progress import count

    return f"{count(group.jobs, what)}, in {count(len(group.batches), 'batch', 'batches')}"


def _jobs(asked: Asked, made: "Plan") -> list[tuple[str, str]]:
    from batchgen.plan.names import file_stem

    varying = asked.sweep.varying
    cells = (cell for group in made.groups for batch in group.batches for cell in batch)
    return [(file_stem(cell, varying), str(made.reasons[cell.job.id])) for cell in cells]


def _estimated(asked: Asked, made: "Plan") -> str:
    from batchgen.cli.progress import duration

    found = _estimate(asked, made)
    if not found.known:
        return f"time and disk: not known before the first {asked.what}s of a model are made"
    size = f"{found.bytes / 1e6:.1f} MB" if found.bytes < 1e9 else f"{found.bytes / 1e9:.1f} GB"
    rest = f", for {found.known} of {found.asked} {asked.what}s" if found.known < found.asked else ""
    return f"estimated: {duration(found.seconds)}, {size}{rest} (and the loading of models)"


def _estimate(asked: Asked, made: "Plan") -> Any:
    from batchgen.plan.estimate import estimate
    from batchgen.store.samples import samples

    runs = asked.directory.root, *asked.settings.output.root.glob("*/")
    jobs = [cell.job for group in made.groups for batch in group.batches for cell in batch]
    return estimate(jobs, samples(runs, {group.model.digest for group in made.groups}))


def _facts(asked: Asked, made: "Plan") -> dict[str, Any]:
    found = _estimate(asked, made)
    return {
        "directory": str(asked.directory.root),
        "asked": made.asked,
        "done": len(made.done),
        "to_make": made.to_make,
        "rejected": len(made.rejected),
        "groups": [
            {
                "model": group.model.name,
                "family": group.model.family,
                "digest": group.model.digest,
                "batches": len(group.batches),
                "pictures": group.jobs,
            }
            for group in made.groups
        ],
        "clips": [
            {
                "frames": clip.frames,
                "width": clip.width,
                "height": clip.height,
                "latent": [clip.channels, *clip.latent],
                "memory": clip.bytes[how],
            }
            for clip, how in _clips(asked, made)
        ],
        "loads": made.loads,
        "load_bound": made.load_bound,
        "switches": made.switches,
        "switch_bound": made.switch_bound,
        "estimate": {"seconds": found.seconds, "bytes": found.bytes, "pictures": found.known},
        "axes": {axis.name: list(axis.values) for axis in asked.sweep.axes},
        "excluded": asked.sweep.excluded,
        "no_longer_asked_for": list(made.stale),
        "jobs": [{"name": stem, "reason": reason} for stem, reason in _jobs(asked, made)],
        "notes": list(asked.sweep.notes),
        "warnings": [*asked.sweep.warnings, *asked.sweep.overruled],
    }
