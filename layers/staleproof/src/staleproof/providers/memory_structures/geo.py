"""Places on earth in a sorted set: a score holds longitude and latitude, 26 bits each, interleaved.

So a place comes back as the middle of a cell of some 60 cm, as from a server. Distances are along a sphere.

Source: https://valkey.io/commands/geoadd/
"""

from __future__ import annotations

from math import asin, cos, radians, sin, sqrt
from typing import Any, NamedTuple

from staleproof.providers.memory_structures.kinds import Arguments, Command, integer, number, refused
from staleproof.providers.memory_structures.ranks import FLAGS, Ranks, add

STEPS = 26
CELLS = 1 << STEPS
LONGITUDES = (-180.0, 180.0)
LATITUDES = (-85.05112878, 85.05112878)
EARTH_RADIUS = 6_372_797.560856
UNITS = {b"m": 1.0, b"km": 1_000.0, b"mi": 1_609.34, b"ft": 0.3048}


class Point(NamedTuple):
    """A place, in degrees."""

    longitude: float
    latitude: float


class Area(NamedTuple):
    """Where to look: around *centre*, in metres, a circle or a box."""

    centre: Point
    radius: float
    width: float
    height: float

    def has(self, point: Point) -> float | None:
        """Return how far *point* is from the centre, None if it lies outside."""
        away = distance(self.centre, point)
        if self.radius >= 0:
            return away if away <= self.radius else None
        north = EARTH_RADIUS * abs(radians(point.latitude) - radians(self.centre.latitude))
        east = distance(point, Point(self.centre.longitude, point.latitude))
        return away if north <= self.height / 2 and east <= self.width / 2 else None


def distance(one: Point, other: Point) -> float:
    """Return metres."""
    latitude, further = radians(one.latitude), radians(other.latitude)
    across = sin((radians(other.longitude) - radians(one.longitude)) / 2)
    along = sin((further - latitude) / 2)
    return 2 * EARTH_RADIUS * asin(min(1.0, sqrt(along**2 + cos(latitude) * cos(further) * across**2)))


def _cell(value: float, low: float, high: float) -> int:
    return min(int((value - low) / (high - low) * CELLS), CELLS - 1)


def _middle(cell: int, low: float, high: float) -> float:
    size = (high - low) / CELLS
    return min(max(low + (cell + 0.5) * size, low), high)


def encoded(point: Point) -> float:
    """Return the score of a place."""
    x, y = _cell(point.longitude, *LONGITUDES), _cell(point.latitude, *LATITUDES)
    return float(sum((x >> at & 1) << (2 * at + 1) | (y >> at & 1) << 2 * at for at in range(STEPS)))


def decoded(score: float) -> Point:
    """Return the place of a score."""
    bits = int(score)
    x = sum((bits >> (2 * at + 1) & 1) << at for at in range(STEPS))
    y = sum((bits >> 2 * at & 1) << at for at in range(STEPS))
    return Point(_middle(x, *LONGITUDES), _middle(y, *LATITUDES))


def _point(longitude: bytes, latitude: bytes) -> Point:
    point = Point(number(longitude), number(latitude))
    inside = (
        LONGITUDES[0] <= point.longitude <= LONGITUDES[1] and LATITUDES[0] <= point.latitude <= LATITUDES[1]
    )
    if not inside:
        raise refused(f"ERR invalid longitude,latitude pair {point.longitude:f},{point.latitude:f}")
    return point


def _written(point: Point) -> list[bytes]:
    return [repr(point.longitude).encode(), repr(point.latitude).encode()]


def _geoadd(body: Ranks, arguments: Arguments, _: int) -> Any:
    rest = list(arguments)
    flags: set[bytes] = set()
    while rest[0] in FLAGS:
        flags.add(rest.pop(0))
    places = zip(rest[::3], rest[1::3], rest[2::3], strict=True)
    return add(body, flags, [(encoded(_point(x, y)), member) for x, y, member in places])


def _geopos(body: Ranks, arguments: Arguments, _: int) -> Any:
    return [_written(decoded(body[each])) if each in body else None for each in arguments]


def _geodist(body: Ranks, arguments: Arguments, _: int) -> Any:
    one, other, unit = arguments
    if one not in body or other not in body:
        return None
    return b"%.4f" % (distance(decoded(body[one]), decoded(body[other])) / UNITS[unit])


def _geosearch(body: Ranks, arguments: Arguments, _: int) -> Any:
    """Take `FROMLONLAT x y` or `FROMMEMBER m`, `BYRADIUS r unit` or `BYBOX w h unit`, `ASC [COUNT n]`, `WITH…`."""
    words = list(arguments)
    if words[0] == b"FROMMEMBER":
        if words[1] not in body:
            raise refused("ERR could not decode requested zset member")
        centre, words = decoded(body[words[1]]), words[2:]
    else:
        centre, words = _point(words[1], words[2]), words[3:]
    if words[0] == b"BYRADIUS":
        scale, words = UNITS[words[2]], [words[1], *words[3:]]
        area = Area(centre, number(words[0]) * scale, 0, 0)
    else:
        scale = UNITS[words[3]]
        area = Area(centre, -1, number(words[1]) * scale, number(words[2]) * scale)
    found = [(area.has(decoded(score)), member, decoded(score)) for member, score in body.items()]
    near = sorted((away, member, point) for away, member, point in found if away is not None)
    most = integer(words[words.index(b"COUNT") + 1]) if b"COUNT" in words else len(near)
    return [[member, b"%.4f" % (away / scale), _written(point)] for away, member, point in near[:most]]


COMMANDS = {
    "GEOADD": Command(Ranks, _geoadd),
    "GEOPOS": Command(Ranks, _geopos),
    "GEODIST": Command(Ranks, _geodist),
    "GEOSEARCH": Command(Ranks, _geosearch),
}
