"""`batchgen status RUN`: what a run directory holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from batchgen.store.layout import RunDirectory


@click.command(short_help="Say how far a run is.")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for programs.")
def status(run: Path, as_json: bool) -> int:
    """Say how far a run is: pictures asked for, made, failed, left and rejected, and who is at work on it.

    \b
    batchgen status outputs/demo
    batchgen status outputs/demo --json | jq .left
    """
    import json

    found = _status(run)
    if as_json:
        click.echo(json.dumps(found, indent=2, ensure_ascii=False))
    else:
        click.echo(_in_words(run, found))
    return 0 if not found["left"] else 1


def _status(run: Path) -> dict[str, Any]:
    from batchgen.errors import UsageError
    from batchgen.plan.plan import THERE
    from batchgen.store.history import history
    from batchgen.store.layout import RunDirectory
    from batchgen.store.lock import at_work
    from batchgen.store.media import is_clip

    directory = RunDirectory(run)
    if not directory.plan.is_file():
        raise UsageError("no run directory: it has no .batchgen/plan.json", where=str(run))
    past = history(directory)
    asked = _asked(directory)
    done = {id_ for id_, reason in past.known.items() if reason in THERE}
    wanted = asked - past.rejected
    failed = {id_: reason for id_, reason in past.failed.items() if id_ in wanted - done}
    holder = at_work(directory.lock)
    return {
        "asked": len(asked),
        "made": len(wanted & done),
        "clips": sum(is_clip(past.done[id_].picture) for id_ in wanted & done),
        "failed": failed,
        "left": len(wanted - done),
        "rejected": len(asked & past.rejected),
        "no_longer_asked_for": len(done - asked),
        "held_by": None if holder is None else {"host": holder.host, "pid": holder.pid},
    }


def _asked(directory: "RunDirectory") -> set[str]:
    """The ids that the plan names; it may be a stranger's, or damaged."""
    import json

    from batchgen.errors import UsageError
    from batchgen.store.content import content

    try:
        asked = set(json.loads(content(directory.plan))["jobs"])
        wrong = not all(isinstance(each, str) for each in asked)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        wrong = True
    if wrong:
        raise UsageError("is not as a run wrote it; the next run writes it anew", where=str(directory.plan))
    return asked


def _in_words(run: Path, found: dict[str, Any]) -> str:
    what = "clips" if found["made"] and found["clips"] == found["made"] else "pictures"
    rejected = f", {found['rejected']} rejected" if found["rejected"] else ""
    lines = [f"{run}: {found['made']} of {found['asked']} {what} are there, {found['left']} left{rejected}"]
    if found["held_by"]:
        lines.append(f"at work: process {found['held_by']['pid']} on {found['held_by']['host']}")
    if found["no_longer_asked_for"]:
        lines.append(f"{found['no_longer_asked_for']} more are there that the manifest no longer asks for")
    lines += [f"failed: {id_[:12]}: {reason}" for id_, reason in found["failed"].items()]
    return "\n".join(lines)
