"""`batchgen verify RUN`: whether everything in a run directory is as it was left."""

from pathlib import Path

import click

from batchgen.cli.asking import near, printable


@click.command(short_help="Look at all of a run again: is anything torn, missing, altered?")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def verify(run: Path, as_json: bool) -> int:
    """Hash and decode every picture of a run again: is anything torn, missing, altered or unknown? Changes nothing.

    \b
    batchgen verify outputs/demo
    batchgen verify outputs/demo --json | jq '.findings[].file'

    `batchgen run` on the directory makes again what is missing or of another size, and moves it aside first.
    """
    import json

    from batchgen.cli.progress import count
    from batchgen.errors import UsageError
    from batchgen.store.layout import RunDirectory
    from batchgen.store.lock import at_work
    from batchgen.store.verify import verify as look

    directory = RunDirectory(run)
    if not directory.hidden.is_dir():
        raise UsageError("no run directory: it has no .batchgen/", where=str(run))
    found = look(directory)
    if at_work(directory.lock):
        click.echo("a run is at work here: what it is just publishing may look unknown", err=True)
    if as_json:
        findings = [{"kind": each.kind, "file": str(each.file), "what": each.what} for each in found.findings]
        facts = {"directory": str(run), "pictures": found.pictures, "clips": found.clips, "findings": findings}
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        for each in found.findings:
            click.echo(printable(f"{each.kind:<8} {near(each.file)}: {each.what}"))
        wrong = f"{count(len(found.findings), 'file')} not as left" if found.findings else "all is well"
        what = "clip" if found.pictures and found.clips == found.pictures else "picture"
        click.echo(f"{near(run)}: {count(found.pictures, what)}; {wrong}")
    return 1 if found.findings else 0
