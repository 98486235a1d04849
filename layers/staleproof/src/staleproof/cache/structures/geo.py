"""Places on earth: members with longitude and latitude, to be found by distance."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Generic, Literal, NamedTuple, TypeAlias, TypeVar

from staleproof.cache.structures.arguments import real, whole
from staleproof.cache.structures.handle import AwaitingHandle, BlockingHandle, Handle
from staleproof.cache.structures.method import method
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staleproof.cache.structures.elements import Element
    from staleproof.cache.structures.requests import Plan

M = TypeVar("M")
Unit: TypeAlias = Literal["m", "km", "mi", "ft"]
UNITS = ("m", "km", "mi", "ft")
FARTHEST_NORTH = 85.05112878
"""Servers keep no places nearer to the poles."""

FAR = 1e12


class Position(NamedTuple):
    """A place, in degrees, east and north."""

    longitude: float
    latitude: float


class Nearby(NamedTuple, Generic[M]):
    """What was found near a place.

    Attributes:
        member: what it is.
        distance: how far away it is, in the unit that was asked for.
        position: where it is, within a metre.
    """

    member: M
    distance: float
    position: Position


class GeoOperations(Handle, Generic[M]):
    """The operations of places. A position comes back within a metre, since a server keeps 52 bits of it."""

    kind: ClassVar[str] = "geo"

    @property
    def _member(self) -> Element[M]:
        return self._bound.elements[0]

    @method
    def add(self, member: M, longitude: float, latitude: float) -> Plan[bool]:
        """Set where *member* is; say whether it is new."""
        place = _place(longitude, latitude)
        return bool((yield from self._write("GEOADD", *place, self._member.write(member))))

    @method
    def add_many(self, positions: Mapping[M, tuple[float, float]]) -> Plan[int]:
        """Set where many are, by longitude and latitude; return how many are new."""
        places = [(*_place(*position), self._member.write(each)) for each, position in positions.items()]
        return sum((yield from self._write_each("GEOADD", places)))

    @method
    def position(self, member: M) -> Plan[Position | None]:
        """Return where *member* is, or None."""
        return (yield from self._position(member))

    def _position(self, member: M) -> Plan[Position | None]:
        (reply,) = yield from self._look("GEOPOS", self._member.write(member))
        return None if reply is None else Position(float(reply[0]), float(reply[1]))

    @method
    def distance(self, one: M, other: M, *, unit: Unit = "m") -> Plan[float | None]:
        """Return how far *one* is from the *other*, or None if one of them is not there."""
        members = self._member.write(one), self._member.write(other)
        reply = yield from self._look("GEODIST", *members, _unit(unit))
        return None if reply is None else float(reply)

    @method
    def near(
        self, longitude: float, latitude: float, *, radius: float, unit: Unit = "m", limit: int | None = None
    ) -> Plan[list[Nearby[M]]]:
        """Return what lies within *radius* of a place, nearest first; at most *limit*."""
        return (yield from self._near(_place(longitude, latitude), radius, unit, limit))

    @method
    def near_member(
        self, member: M, *, radius: float, unit: Unit = "m", limit: int | None = None
    ) -> Plan[list[Nearby[M]]]:
        """Return what lies within *radius* of *member*, itself first; nothing if it is not there."""
        position = yield from self._position(member)
        if position is None:
            return []
        return (yield from self._near(_place(*position), radius, unit, limit))

    def _near(
        self, place: tuple[str, str], radius: float, unit: Unit, limit: int | None
    ) -> Plan[list[Nearby[M]]]:
        area = "BYRADIUS", repr(real("radius", radius, 0, FAR)), _unit(unit)
        return (yield from self._search(*place, *area, limit=limit))

    @method
    def inside(
        self,
        longitude: float,
        latitude: float,
        *,
        width: float,
        height: float,
        unit: Unit = "m",
        limit: int | None = None,
    ) -> Plan[list[Nearby[M]]]:
        """Return what lies in a box around a place, nearest first; at most *limit*."""
        sides = repr(real("width", width, 0, FAR)), repr(real("height", height, 0, FAR))
        place = _place(longitude, latitude)
        return (yield from self._search(*place, "BYBOX", *sides, _unit(unit), limit=limit))

    def _search(self, *words: str, limit: int | None) -> Plan[list[Nearby[M]]]:
        count = () if limit is None else ("COUNT", whole("limit", limit, 1))
        reply: list[Any] = yield from self._look(
            "GEOSEARCH", "FROMLONLAT", *words, "ASC", *count, "WITHCOORD", "WITHDIST"
        )
        read = self._member.read
        return [
            Nearby(read(member), float(away), Position(float(at[0]), float(at[1])))
            for member, away, at in reply
        ]

    @method
    def remove(self, *members: M) -> Plan[int]:
        """Remove *members*; return how many were there."""
        gone = [(self._member.write(each),) for each in members]
        return sum((yield from self._write_each("ZREM", gone)))

    @method
    def size(self) -> Plan[int]:
        """Return how many members there are."""
        number: int = yield from self._look("ZCARD")
        return number


def _place(longitude: Any, latitude: Any) -> tuple[str, str]:
    east = real("longitude", longitude, -180.0, 180.0)
    return repr(east), repr(real("latitude", latitude, -FARTHEST_NORTH, FARTHEST_NORTH))


def _unit(unit: Any) -> str:
    if unit not in UNITS:
        raise ConfigurationError(f"unit={unit!r} is none of 'm', 'km', 'mi', 'ft'")
    return str(unit)


class Geo(GeoOperations[M], BlockingHandle):
    """Places of a blocking cache."""


class AsyncGeo(GeoOperations[M], AwaitingHandle):
    """Places of an asyncio cache."""
