"""Months since the start of a sweep as dates: a month is 30.4375 days, so that twelve of them are a year of 365.25."""

from __future__ import annotations

import datetime
import math

DAYS_A_MONTH = 30.4375


def day_of(start: datetime.date, months: float) -> datetime.date | None:
    """The day on which so many months have passed, or None where no calendar has it: not reached, failed, or beyond the year 9999."""
    try:
        return start + datetime.timedelta(days=months * DAYS_A_MONTH)
    except (OverflowError, ValueError):
        return None


def date_of(start: datetime.date, months: float) -> str:
    """Months since `start` as the month in which they end, e.g. "2028-07"; +inf is "not reached", what no calendar has stays in months."""
    day = day_of(start, months)
    if day is not None:
        return f"{day.year:04}-{day.month:02}"
    return "not reached" if months == math.inf else f"{months:.3g} months"


def beside(number: str, start: datetime.date | None, months: float) -> str:
    """A printed number of months with its date behind it, where there is one: "18.3 (2028-07)"."""
    return number if start is None or day_of(start, months) is None else f"{number} ({date_of(start, months)})"
