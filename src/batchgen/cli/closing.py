"""The last lines of a run, for somebody who reads them at seven in the morning."""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from batchgen.cli.asking import near, printable

if TYPE_CHECKING:
    from batchgen.store.layout import RunDirectory

_NAMED = 5
"""Failed pictures that are named; the rest is counted, and `summary.json` has all."""


def closing(facts: Mapping[str, Any], directory: "RunDirectory", what: str = "picture") -> list[str]:
    """Return what was made, failed and left, in which time; which pictures failed and why; and where to look.

    Args:
        facts: The run's account, as in `summary.json`.
        directory: The run directory.
        what: What was asked for: a `picture` or a `clip`.
    """
    lines = [_counts(facts, directory, what), *_failed(facts, directory), _where(facts, directory)]
    return [printable(line) for line in lines]


def _counts(facts: Mapping[str, Any], directory: "RunDirectory", what: str) -> str:
    from batchgen.cli.progress import count, duration

    made, failed, where = facts["made"], len(facts["failed"]), near(directory.root)
    missing = facts["asked"] - facts["there_before"] - made - _rejected(facts)
    if not made and not missing:
        return f"{where}: nothing to do, {_there(facts, what)}"
    numbers = [f"{count(made, what)} made"]
    numbers += [f"{failed:,} failed"] if failed else []
    numbers += [f"{facts['left']:,} left"] if facts["left"] else []
    return f"{where}: {', '.join(numbers)} in {duration(facts['seconds'])}{_rest(facts, missing, what)}"


def _rejected(facts: Mapping[str, Any]) -> int:
    return int(facts.get("rejected", 0))


def _there(facts: Mapping[str, Any], what: str) -> str:
    """Say how many are there, where none is missing."""
    asked, there = facts["asked"], facts["there_before"] + facts["made"]
    if rejected := _rejected(facts):
        return f"{there:,} of {asked:,} {what}s {'is' if there == 1 else 'are'} there, {rejected:,} rejected"
    return f"the {what} is there" if asked == 1 else f"all {asked:,} {what}s are there"


def _rest(facts: Mapping[str, Any], missing: int, what: str) -> str:
    """Say how far the whole is, and what to do about it."""
    from batchgen.run.account import ENDS, MISSING

    if not missing and _rejected(facts):
        return f"; {_there(facts, what)}"
    if not missing:
        return f"; all {facts['asked']:,} are there" if facts["there_before"] else ""
    how = facts["ended"] if facts["ended"] in ENDS else "ended by an error"
    why = "" if how == MISSING else f"{how}, "
    verb = "is" if missing == 1 else "are"
    besides = f" ({_rejected(facts):,} rejected)" if _rejected(facts) else ""
    return f"; {why}{missing:,} of {facts['asked']:,} {verb} missing{besides}, run the same command again"


def _failed(facts: Mapping[str, Any], directory: "RunDirectory") -> Iterator[str]:
    failed = facts["failed"]
    yield from (f"failed: {each['name']}: {each['reason']}" for each in failed[:_NAMED])
    if len(failed) > _NAMED:
        yield f"failed: {len(failed) - _NAMED:,} more, named in {near(directory.summary)}"


def _where(facts: Mapping[str, Any], directory: "RunDirectory") -> str:
    from batchgen.cli.progress import count

    sheets, gallery = facts["sheets"], facts.get("gallery")
    places = [near(directory.root / gallery)] if gallery else []
    if len(sheets) == 1:
        places.append(near(directory.root / sheets[0]))
    elif sheets:
        places.append(f"{near(directory.sheets)} ({count(len(sheets), 'sheet')})")
    elif not gallery and facts["there_before"] + facts["made"]:
        there = [near(each) for each in (directory.pictures, directory.clips) if each.is_dir() and any(each.iterdir())]
        places += there or [near(directory.pictures)]
    places += [near(directory.joined)] if facts.get("joined") else []
    places.append(near(directory.summary))
    places += [near(directory.worker_log)] if facts["failed"] else []
    *others, last = places
    return f"look at {', '.join(others)} and {last}" if others else f"look at {last}"
