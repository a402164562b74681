"""`batchgen run`: render what is asked for, or go on where the last run stopped."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from batchgen.cli.asking import Asked, Request, ask, asking, near

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

    from batchgen.plan.plan import Plan
    from batchgen.run.account import Account
    from batchgen.run.runner import Summary, Work
    from batchgen.store.held import Held

_NAMED = 5
"""Failed pictures that the closing lines name; the rest is counted, and `summary.json` has all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bounds:
    """Where a command ends although there is more to render."""

    most: int | None
    """Pictures."""
    begun: "datetime"
    """On this machine's clock, without a zone: `stop_at` is such a time."""
    lasting: "timedelta | None"


def _span(_context: click.Context, _option: click.Parameter, text: str | None) -> "timedelta | None":
    from batchgen.run.until import span

    try:
        return None if text is None else span(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


@click.command(short_help="Render a manifest's sweep, or go on with it.")
@asking
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Render at most N pictures this time.")
@click.option("--for", "lasting", callback=_span, metavar="TIME", help="Stop cleanly after 8h, 90min or 1h30m.")
def run(request: Request, limit: int | None, lasting: "timedelta | None") -> int:
    """Render a manifest's sweep into outputs/NAME. The same command again renders what is missing.

    \b
    batchgen run demo                                   a manifest by name, or its path
    batchgen run demo sampler=euler,ddim steps=10,20    with other axes (Hydra's grammar)
    batchgen run --prompt "a red circle" --seeds 0..3   without a manifest, into outputs/adhoc
    batchgen run outputs/demo --for 8h                  go on with what was asked for there
    """
    from datetime import datetime

    bounds = _Bounds(most=limit, begun=datetime.now(), lasting=lasting)  # noqa: DTZ005  # see `begun`
    return max([_render(asked, bounds) for asked in ask(request)], default=0)


def _render(asked: Asked, bounds: _Bounds) -> int:
    from batchgen.cli.plan import plan_of
    from batchgen.run.runner import run as render
    from batchgen.store.held import hold

    for warning in asked.sweep.warnings:
        click.echo(f"warning: {warning}", err=True)
    manifest = asked.saved_manifest()
    with hold(asked.directory) as held:
        _say_what_was_found(held)
        work = _work(asked, held, manifest, bounds)
        plan, batch = plan_of(asked, held.known)
        jobs = {cell.job.id: None for cell in asked.sweep.cells}
        held.save(manifest=manifest, settings=asked.settings.save(), plan={"batch": batch, "jobs": list(jobs)})
        now = plan.first(bounds.most)
        _check_room(asked, now)
        account = _account(now, work)
        with account.kept(asked.directory):
            summary = render(now, held, work, account)
            account.sheets = _sheets(asked, held)
    left = plan.to_make - summary.made
    click.echo("\n".join(_closing(asked, summary, account, there=plan.asked - left, asked_for=plan.asked)))
    return 1 if left else 0


def _say_what_was_found(held: "Held") -> None:
    """Say what a former run left behind, or a person changed, and what became of it."""
    from batchgen.cli.progress import count

    if held.adopted:
        click.echo(f"found {count(len(held.adopted), 'finished picture')} that the journal did not know", err=True)
    if held.quarantined:
        where = near(held.directory.quarantine)
        click.echo(f"warning: {count(len(held.quarantined), 'file')} did not validate and moved to {where}", err=True)


def _work(asked: Asked, held: "Held", manifest: str, bounds: _Bounds) -> "Work":
    import hashlib

    from batchgen.plan.names import file_stem
    from batchgen.run.runner import Work
    from batchgen.run.until import earliest

    settings, varying, names = asked.settings, asked.sweep.varying, held.names
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    return Work(
        runtime=settings.runtime,
        # A picture keeps the name it was first given, whatever varies now.
        stem=lambda cell: names.get(cell.job.id) or file_stem(cell, varying),
        compression=settings.output.compression,
        manifest={"name": asked.manifest.name, "sha256": digest},
        until=earliest(bounds.begun, lasting=bounds.lasting, at=settings.runtime.stop_at),
    )


def _check_room(asked: Asked, plan: "Plan") -> None:
    from batchgen.preflight.room import check_room
    from batchgen.store.samples import samples

    jobs = [cell.job for group in plan.groups for batch in group.batches for cell in batch]
    runs = (asked.directory.root, *asked.settings.output.root.glob("*/"))
    check_room(jobs, asked.directory.root, lambda: samples(runs, {group.model.digest for group in plan.groups}))


def _account(plan: "Plan", work: "Work") -> "Account":
    from datetime import UTC, datetime

    from batchgen.cli.progress import listener
    from batchgen.run.account import Account

    cells = {cell.job.id: cell for group in plan.groups for batch in group.batches for cell in batch}
    return Account(started=datetime.now(UTC), name_of=lambda id_: work.stem(cells[id_]), show=listener())


def _sheets(asked: Asked, held: "Held") -> "list[Path]":
    from batchgen.compare.pages import write_pages

    if not asked.settings.output.sheets or asked.manifest.compare is None:
        return []
    pictures = {id_: done.picture for id_, done in held.done.items()}
    folder = asked.directory.sheets
    return write_pages(asked.sweep, asked.manifest.compare, pictures, folder, title=asked.manifest.name)


def _closing(asked: Asked, summary: "Summary", account: "Account", *, there: int, asked_for: int) -> list[str]:
    """Return the last lines of a run: what was made and what not, why, and where to look."""
    from batchgen.cli.progress import count, duration

    where = near(asked.directory.root)
    places = [near(sheet) for sheet in account.sheets]
    all_of = "the picture is" if asked_for == 1 else f"all {asked_for} pictures are"
    if not summary.made and not summary.failed and there == asked_for:
        return [f"{where}: nothing to do, {all_of} there", *places]
    failed = f", {summary.failed} failed" if summary.failed else ""
    stopped = "stopped at its time, " if summary.left else ""
    missing = f"{asked_for - there} of {asked_for} are missing, run the same command again"
    left = "" if there == asked_for else f"; {stopped}{missing}"
    first = f"{where}: {count(summary.made, 'picture')} made{failed} in {duration(summary.seconds)}{left}"
    return [first, *_failed(asked, account), *(places or [near(asked.directory.pictures)])]


def _failed(asked: Asked, account: "Account") -> list[str]:
    lines = [f"failed: {failure.name}: {failure.reason}" for failure in account.failures[:_NAMED]]
    more = len(account.failures) - _NAMED
    return [*lines, f"failed: {more} more, named in {near(asked.directory.summary)}"] if more > 0 else lines
