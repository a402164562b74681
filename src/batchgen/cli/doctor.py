"""`batchgen doctor`: is everything here that a run needs, and if not, how to mend it."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from batchgen.preflight.finding import Finding


@click.command(short_help="Say what is wrong with this machine, and how to mend it.")
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def doctor(words: tuple[str, ...], as_json: bool) -> int:
    """Say whether everything is here that a run needs, and how to mend what is not; exit 1 if something is missing.

    \b
    batchgen doctor
    batchgen doctor paths.models=[~/ComfyUI/models] output.root=/data/renders runtime=cuda
    batchgen doctor --json | jq '.findings[] | select(.state != "ok")'
    """
    import json
    from dataclasses import asdict
    from pathlib import Path

    from batchgen.errors import UsageError
    from batchgen.preflight.checkup import checkup
    from batchgen.settings import load_settings, parse_words

    read = parse_words(words)
    if read.fields:
        raise UsageError("doctor takes settings only: runtime, output and paths", where=next(iter(read.fields)))
    settings = load_settings(read, cwd=Path.cwd())
    found = []
    for finding in checkup(settings):
        found.append(finding)
        if not as_json:
            click.echo(_line(finding))
    missing = any(finding.state == "wrong" for finding in found)
    if as_json:
        facts = {"ok": not missing, "findings": [asdict(finding) for finding in found]}
        click.echo(json.dumps(facts, indent=2, ensure_ascii=False))
    else:
        click.echo(_closing(found))
    return 1 if missing else 0


def _line(finding: "Finding") -> str:
    mend = f"\n{'':9}mend: {finding.mend}" if finding.mend else ""
    return f"{finding.state:<8} {finding.about}: {finding.says}{mend}"


def _closing(found: "Sequence[Finding]") -> str:
    from batchgen.cli.progress import count

    wrong, warned = (sum(finding.state == state for finding in found) for state in ("wrong", "warning"))
    warnings = count(warned, "warning")
    return f"{count(wrong, 'thing')} to mend before a run, {warnings}" if wrong else f"ready to run, {warnings}"
