"""How flights and board pages are called, in the tables, in keys and in tags alike."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime


def flight_id(origin: str, scheduled: datetime, carrier: str, number: str) -> str:
    """Return the id of a flight, `EWR-2013-02-08-14-UA1545`; it begins with the id of its page."""
    return f"{origin}-{scheduled:%Y-%m-%d-%H}-{carrier}{number}"


def board_of(flight_id: str) -> str:
    """Return the id of the page that shows a flight, `EWR-2013-02-08-14`."""
    return flight_id.rpartition("-")[0]
