"""When a run is to stop: after a time (`8h`), or at one (`07:30`)."""

import re
from datetime import datetime, timedelta

_SPAN = re.compile(r"(?:(?P<hours>\d+(?:\.\d+)?)h)?(?:(?P<minutes>\d+(?:\.\d+)?)(?:m|min))?(?:(?P<seconds>\d+)s)?")
_TIME = re.compile(r"([01]?\d|2[0-3]):([0-5]\d)")


def now() -> datetime:
    """Return the time on the clock of this machine: by that a person says when to stop."""
    return datetime.now()  # noqa: DTZ005 - without a zone, so that 07:30 is what the wall says, also when clocks change


def span(text: str) -> timedelta:
    """Return the time that `text` says.

    >>> str(span("8h")), str(span("1h30m")), str(span("90min")), str(span("45s"))
    ('8:00:00', '1:30:00', '1:30:00', '0:00:45')

    Raises:
        ValueError: it is none, or no time at all.
    """
    found = _SPAN.fullmatch(text)
    parts = {unit: float(number) for unit, number in found.groupdict().items() if number} if found else {}
    if not any(parts.values()):
        message = f"{text!r} is no length of time; it is written 8h, 90min, 45s or 1h30m"
        raise ValueError(message)
    return timedelta(**parts)


def coming(text: str, begun: datetime) -> datetime:
    """Return when it will next be the time of day `text` (`07:30`), at least a moment after `begun`.

    Both are times on the clock of this machine, so that a night in which clocks are changed ends when the clock says.

    Raises:
        ValueError: it is no time of day.
    """
    found = _TIME.fullmatch(text)
    if found is None:
        message = f"{text!r} is no time of day; it is written 07:30 or 23:00"
        raise ValueError(message)
    today = begun.replace(hour=int(found[1]), minute=int(found[2]), second=0, microsecond=0)
    return today if today > begun else today + timedelta(days=1)


def earliest(begun: datetime, *, lasting: timedelta | None, at: str | None) -> float | None:
    """Return when a run that began at `begun` is to stop, in seconds since 1970, or None if nobody asked for it.

    Raises:
        ValueError: `at` is no time of day.
    """
    times = [] if lasting is None else [begun.timestamp() + lasting.total_seconds()]
    times += [] if at is None else [coming(at, begun).timestamp()]
    return min(times, default=None)
