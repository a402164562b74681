"""`batchgen run`: render what is asked for, or go on where the last run stopped."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, Self

import click

from batchgen.cli.asking import Asked, Request, ask, asking, near, printable
from batchgen.cli.checking import check_machine
from batchgen.cli.closing import closing
from batchgen.errors import Interrupted, UsageError

if TYPE_CHECKING:
    from datetime import datetime, timedelta
    from pathlib import Path

    from batchgen.compare.comparing import Compared
    from batchgen.manifest import Comparing
    from batchgen.plan.plan import Plan
    from batchgen.run.account import Account
    from batchgen.run.runner import Work
    from batchgen.store.held import Held


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Where a command ends although there is more to render."""

    most: int | None
    """Pictures."""
    begun: "datetime"
    """On this machine's clock, without a zone: `stop_at` is such a time."""
    lasting: "timedelta | None"
    rehearse: bool


def _span(_context: click.Context, _option: click.Parameter, text: str | None) -> "timedelta | None":
    from batchgen.run.until import span

    try:
        return None if text is None else span(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def bounded(command: Callable[..., int]) -> Callable[..., int]:
    """Give `command` the options that end it early; it receives them as `bounds`."""

    @click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Render at most N pictures this time.")
    @click.option("--rehearse", is_flag=True, help="First try one step and one decode of every model.")
    @click.option("--for", "lasting", callback=_span, metavar="TIME", help="Stop cleanly after 8h, 90min or 1h30m.")
    @wraps(command)
    def with_bounds(
        *arguments: Any, limit: int | None, rehearse: bool, lasting: "timedelta | None", **others: Any
    ) -> int:
        from batchgen.run.until import now

        return command(*arguments, bounds=Bounds(most=limit, begun=now(), lasting=lasting, rehearse=rehearse), **others)

    return with_bounds


@click.command(short_help="Render a manifest's sweep, or go on with it.")
@asking
@bounded
def run(request: Request, bounds: Bounds) -> int:
    """Render a manifest's sweep into outputs/NAME. The same command again renders what is missing.

    \b
    batchgen run demo                                   a manifest by name, or its path
    batchgen run demo sampler=euler,ddim steps=10,20    with other axes (Hydra's grammar)
    batchgen run --prompt "a red circle" --seeds 0..3   without a manifest, into outputs/adhoc
    batchgen run outputs/demo --for 8h                  go on with what was asked for there
    batchgen run demo --rehearse                        see at eleven what would fail at three
    """
    from batchgen.store.lock import see_free

    everything = [ready(asked) for asked in ask(request, meet=lambda directory: see_free(directory.lock))]
    codes = [0]
    for number, (asked, may_begin) in enumerate(everything, start=1):
        code, interrupted = carry_out(asked, bounds, may_begin)
        codes.append(code)
        if interrupted and everything[number:]:
            click.echo("\n".join(f"{near(other.directory.root)}: not begun" for other, _ in everything[number:]))
            return Interrupted.exit_code
    return max(codes)


def ready(asked: Asked) -> "tuple[Asked, Callable[[], str | None] | None]":
    """Return with what is asked for what looks after the GPU's heat, found to work before anything is rendered."""
    from batchgen.preflight.heat import heat

    _see_reference(asked)
    return asked, heat(asked.settings.runtime)


def _see_reference(asked: Asked) -> None:
    """Refuse a reference that no place of the sweep can be: at seven in the morning would be too late."""
    how = asked.manifest.compare
    if how is None or how.against is None or (isinstance(how.against, str) and "=" not in how.against):
        return  # a picture's name: there may be no such file before the night is over
    from batchgen.compare.references import read_against
    from batchgen.compare.results import Results

    axes = {axis.name: axis.values for axis in asked.sweep.axes}
    nothing = Results(name=asked.manifest.name, axes=axes, places=(), environments={})
    read_against(how.against, nothing, where=asked.manifest.where(("compare", "against")))


def carry_out(asked: Asked, bounds: Bounds, may_begin: "Callable[[], str | None] | None") -> tuple[int, bool]:
    """Render what belongs into one run directory; return the exit code, and whether somebody asked to stop."""
    from dataclasses import replace

    from batchgen.cli.following import following
    from batchgen.cli.plan import plan_of
    from batchgen.run.runner import run as render
    from batchgen.store.asked import to_text
    from batchgen.store.held import hold

    for warning in asked.sweep.warnings:
        click.echo(f"warning: {warning}", err=True)
    manifest = asked.saved_manifest()
    with _Ending(asked) as ending, hold(asked.directory) as held:
        say_what_was_found(held)
        work = replace(_work(asked, held, manifest, bounds), may_begin=may_begin)
        plan, batch = plan_of(asked, held)
        jobs = {cell.job.id: None for cell in asked.sweep.cells}
        kept = {"batch": batch, "jobs": list(jobs)} | ({"pictures": asked.pictures} if asked.pictures else {})
        held.save(manifest=manifest, settings=asked.settings.save(), plan=kept, sweep=to_text(asked.sweep))
        now = plan.first(bounds.most)
        check_machine(now, asked.directory.root, asked.settings)
        account = ending.account = _account(now, work, asked.what, later=plan.to_make - now.to_make)
        with account.kept(asked.directory):
            with following(asked) as follow:
                summary = render(now, held, work, follow(account))
            _compared(asked, account)
            account.joined = _joined(asked, held, work)
            held.keep_frames_of(_needed(asked, plan, held, account.joined))
    if summary.interrupted and summary.left:
        return Interrupted.exit_code, True
    return int(summary.made < plan.to_make), summary.interrupted


class _Ending:
    """Says what came of a run when its directory is free again, to whoever reads this and to `on_finish`.

    Not where the run was left at once, nor where it did not begin.
    """

    def __init__(self, asked: Asked) -> None:
        self._asked = asked
        self.account: Account | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self.account is None or (kind and (issubclass(kind, Interrupted) or not issubclass(kind, Exception))):
            return
        facts = self.account.facts(self._asked.directory)
        try:
            click.echo("\n".join(closing(facts, self._asked.directory, self._asked.what)))
        finally:
            _tell(self._asked, facts)


def _tell(asked: Asked, facts: dict[str, Any]) -> None:
    from batchgen.run.finish import tell

    if facts["made"] or facts["failed"] or facts["left"]:
        for line in tell(asked.settings.on_finish, facts, asked.directory.root):
            click.echo(f"warning: {printable(line)}", err=True)


def say_what_was_found(held: "Held") -> None:
    """Say what a former run left behind, or a person changed, and what became of it."""
    from batchgen.cli.progress import count

    if held.adopted:
        click.echo(f"found {count(len(held.adopted), 'finished picture')} that the journal did not know", err=True)
    if held.quarantined:
        where = near(held.directory.quarantine)
        click.echo(f"warning: {count(len(held.quarantined), 'file')} did not validate and moved to {where}", err=True)


def _work(asked: Asked, held: "Held", manifest: str | None, bounds: Bounds) -> "Work":
    from batchgen.plan.names import file_stem
    from batchgen.run.runner import Work, keeping
    from batchgen.run.until import earliest

    settings, varying, names = asked.settings, asked.sweep.varying, held.names
    said = None if manifest is None else {"name": asked.manifest.name, "sha256": _sha256(manifest)}
    return Work(
        runtime=settings.runtime,
        # A picture keeps the name it was first given, whatever varies now.
        stem=lambda cell: names.get(cell.job.id) or file_stem(cell, varying),
        compression=settings.output.compression,
        clips=keeping(settings.output),
        manifest=said,
        rehearse=bounds.rehearse,
        joined=frozenset(cell.job.id for join in asked.joins for cell in join.cells),
        changed=settings.changed,
        until=earliest(bounds.begun, lasting=bounds.lasting, at=settings.runtime.stop_at),
    )


def _sha256(text: str) -> str:
    import hashlib

    return hashlib.sha256(text.encode()).hexdigest()


def _account(plan: "Plan", work: "Work", what: str, *, later: int) -> "Account":
    from datetime import UTC, datetime

    from batchgen.cli.progress import listener
    from batchgen.run.account import Account

    cells = {cell.job.id: cell for group in plan.groups for batch in group.batches for cell in batch}
    show = listener(what=what)
    return Account(started=datetime.now(UTC), name_of=lambda id_: work.stem(cells[id_]), show=show, later=later)


def _compared(asked: Asked, account: "Account") -> None:
    """Leave sheets, gallery and `compare.csv`, as manifest and settings want them."""
    from batchgen.compare.gallery import write_live
    from batchgen.compare.unchanged import recall
    from batchgen.store.publish import said_plainly

    how, output = asked.manifest.compare, asked.settings.output
    if how is None or not (output.sheets or output.gallery):
        return
    found = recall(asked.directory, how, output) or _compare(asked, how)
    account.sheets, account.gallery, account.findings = found.sheets, found.gallery, found.findings
    if found.gallery is not None:
        with said_plainly(found.gallery):
            write_live(found.gallery.parent, None)


def _compare(asked: Asked, how: "Comparing") -> "Compared":
    from dataclasses import replace

    from batchgen.compare.comparing import Wish, compare_run
    from batchgen.compare.unchanged import remember

    output = asked.settings.output
    try:
        found = compare_run(asked.directory, Wish(how=how, output=output, where="compare.against"))
    except UsageError as error:  # a picture that is not there: no reason to go without everything else
        click.echo(f"warning: {printable(str(error))}", err=True)
        found = compare_run(asked.directory, Wish(how=replace(how, against=None), output=output))
    remember(asked.directory, how, output, found)
    for warning in found.warnings:
        click.echo(f"warning: {printable(warning)}", err=True)
    return found


def _joined(asked: Asked, held: "Held", work: "Work") -> "dict[str, Path]":
    """Write what is to be joined and has all of its clips; return where it is, by its id."""
    from batchgen.compare.joining import write_join
    from batchgen.errors import StoreError

    written: dict[str, Path] = {}
    for join in asked.joins:
        if any(cell.job.id not in held.done for cell in join.cells):
            continue
        try:
            written[join.id] = write_join(join, held, work.clips, asked.sweep.varying)
        except StoreError as error:
            click.echo(f"warning: nothing is joined of {join}: {printable(str(error))}", err=True)
    return written


def _needed(asked: Asked, plan: "Plan", held: "Held", joined: "dict[str, Path]") -> set[str]:
    """Return the ids of clips whose frames the next run will need: something begins with them, or joins them."""
    needed = {clip for clip, jobs in plan.built_on.items() if jobs - held.done.keys()}
    return needed | {cell.job.id for join in asked.joins if join.id not in joined for cell in join.cells}
