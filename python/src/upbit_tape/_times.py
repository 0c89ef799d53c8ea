"""Times as callers give them, in microseconds since the epoch."""

import datetime

Time = int | str | datetime.date | datetime.datetime
"""Microseconds since the epoch, ISO 8601 text, a date (its midnight) or a datetime; UTC where it names no offset."""

_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)

LATEST = 1 << 53
"""Behind every stamp."""


def micros(time: Time | None, default: int) -> int:
    """A time in microseconds; `default` for `None`."""
    if time is None:
        return default
    if isinstance(time, int):
        return time
    if isinstance(time, str):
        time = datetime.datetime.fromisoformat(time)
    if not isinstance(time, datetime.datetime):
        time = datetime.datetime(time.year, time.month, time.day)
    if time.tzinfo is None:
        time = time.replace(tzinfo=datetime.UTC)
    return (time - _EPOCH) // datetime.timedelta(microseconds=1)
