"""`batchgen run`: render what is asked for, or go on where the last run stopped."""

from typing import TYPE_CHECKING

import click

from batchgen.cli.asking import Asked, Request, ask, asking, near

if TYPE_CHECKING:
    from batchgen.run.runner import Summary


@click.command(short_help="Render a manifest's sweep, or go on with it.")
@asking
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Render at most N pictures this time.")
def run(request: Request, limit: int | None) -> int:
    """Render a manifest's sweep into outputs/NAME. The same command again renders what is missing.

    \b
    batchgen run demo                                   a manifest by name, or its path
    batchgen run demo sampler=euler,ddim steps=10,20    with other axes (Hydra's grammar)
    batchgen run --prompt "a red circle" --seeds 0..3   without a manifest, into outputs/adhoc
    batchgen run outputs/demo                           go on with what was asked for there
    """
    return max([_render(asked, limit) for asked in ask(request)], default=0)


def _render(asked: Asked, limit: int | None) -> int:
    import hashlib

    from batchgen.cli.plan import plan_of
    from batchgen.cli.progress import listener
    from batchgen.compare.pages import write_pages
    from batchgen.plan.names import file_stem
    from batchgen.run.runner import Work
    from batchgen.run.runner import run as render
    from batchgen.store.held import hold

    for warning in asked.sweep.warnings:
        click.echo(f"warning: {warning}", err=True)
    settings, varying = asked.settings, asked.sweep.varying
    manifest = asked.saved_manifest()
    digest = hashlib.sha256(manifest.encode()).hexdigest()
    work = Work(
        runtime=settings.runtime,
        stem=lambda cell: file_stem(cell, varying),
        compression=settings.output.compression,
        manifest={"name": asked.manifest.name, "sha256": digest},
    )
    with hold(asked.directory) as held:
        plan, batch = plan_of(asked, held.known)
        jobs = {cell.job.id: None for cell in asked.sweep.cells}
        held.save(manifest=manifest, settings=settings.save(), plan={"batch": batch, "jobs": list(jobs)})
        summary = render(plan.first(limit), held, work, listener())
        pictures = {id_: done.picture for id_, done in held.done.items()}
        sheets = []
        if settings.output.sheets and asked.manifest.compare is not None:
            folder = asked.directory.sheets
            sheets = write_pages(asked.sweep, asked.manifest.compare, pictures, folder, title=asked.manifest.name)
    left = plan.to_make - summary.made
    click.echo(_closing(asked, summary, there=plan.asked - left, asked_for=plan.asked))
    for sheet in sheets:
        click.echo(near(sheet))
    return 1 if left else 0


def _closing(asked: Asked, summary: "Summary", *, there: int, asked_for: int) -> str:
    from batchgen.cli.progress import count, duration

    where = near(asked.directory.root)
    all_of = "the picture is" if asked_for == 1 else f"all {asked_for} pictures are"
    if not summary.made and not summary.failed and there == asked_for:
        return f"{where}: nothing to do, {all_of} there"
    failed = f", {summary.failed} failed" if summary.failed else ""
    left = "" if there == asked_for else f"; {asked_for - there} of {asked_for} are missing, run the same command again"
    return f"{where}: {count(summary.made, 'picture')} made{failed} in {duration(summary.seconds)}{left}"
