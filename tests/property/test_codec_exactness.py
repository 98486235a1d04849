"""Whatever is stored comes back as what it was, by type; whatever else is read is a `CodecError`."""

from __future__ import annotations

import collections
import collections.abc
import dataclasses
import typing
from datetime import date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from fractions import Fraction
from ipaddress import IPv4Address, IPv6Network
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple
from uuid import UUID

import attrs
import msgspec
import pydantic
import pytest
import typing_extensions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from staleproof.codecs import JsonCodec, MsgpackCodec, SignedPickleCodec, compress, decompress
from staleproof.codecs.annotations import filled, union_of
from staleproof.errors import CodecError

KEY = bytes(32)
CODECS: dict[str, Any] = {"msgpack": MsgpackCodec(), "json": JsonCodec()}
every_codec = pytest.mark.parametrize("name", CODECS)
unhurried = settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=80)


class Size(Enum):
    SMALL = 1
    LARGE = 2


class Level(IntEnum):
    LOW = 0
    HIGH = 1


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Odd(Enum):
    PAIR = (1, 2)
    HALF = 0.5


class Typed(NamedTuple):
    """A type, the values it has, and whether they can be hashed."""

    kind: Any
    values: st.SearchStrategy[Any]
    hashable: bool


def offsets() -> st.SearchStrategy[timezone]:
    return st.integers(-1_439, 1_439).map(lambda minutes: timezone(timedelta(minutes=minutes)))


def moments() -> st.SearchStrategy[datetime]:
    # A day from either end, so that every offset leaves an instant that exists.
    naive = st.datetimes(datetime(1, 1, 3), datetime(9999, 12, 29))  # noqa: DTZ001
    return naive | st.builds(lambda moment, zone: moment.replace(tzinfo=zone), naive, offsets())


FINITE = st.floats(allow_nan=False, allow_infinity=False)
LEAVES = [
    Typed(type(None), st.none(), True),
    Typed(bool, st.booleans(), True),
    Typed(int, st.integers(-(2**63), 2**64 - 1), True),
    Typed(float, FINITE, True),
    Typed(str, st.text(), True),
    Typed(bytes, st.binary(), True),
    Typed(bytearray, st.binary().map(bytearray), False),
    Typed(datetime, moments(), True),
    Typed(date, st.dates(), True),
    Typed(time, st.times(timezones=st.one_of(st.none(), offsets())), True),
    Typed(timedelta, st.timedeltas(), True),
    Typed(Decimal, st.decimals(allow_nan=False), True),
    Typed(UUID, st.uuids(), True),
    Typed(complex, st.complex_numbers(allow_nan=False, allow_infinity=False), True),
    Typed(Fraction, st.fractions(), True),
    Typed(Path, st.sampled_from([Path("a"), Path("/b/c d")]), True),
    Typed(IPv4Address, st.ip_addresses(v=4), True),
    Typed(IPv6Network, st.just(IPv6Network("2001:db8::/32")), True),
    Typed(Size, st.sampled_from(Size), True),
    Typed(Level, st.sampled_from(Level), True),
    Typed(Colour, st.sampled_from(Colour), True),
    Typed(Odd, st.sampled_from(Odd), True),
    Typed(typing.Literal["a", "b"], st.sampled_from(["a", "b"]), True),
]


def untyped(*, finite: bool = False) -> st.SearchStrategy[Any]:
    floats = FINITE if finite else st.floats(allow_nan=False)
    plain = st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), floats, st.text(), st.binary())
    rich = st.one_of(
        moments(), st.dates(), st.timedeltas(), st.decimals(allow_nan=False), st.uuids(), st.fractions()
    )
    leaves = plain | rich
    keys = st.one_of(st.text(), st.integers(), leaves).filter(
        lambda key: type(key) is not int or abs(key) < 2**63
    )
    return st.recursive(
        leaves,
        lambda inner: st.one_of(
            st.lists(inner, max_size=4),
            st.lists(inner, max_size=4).map(tuple),
            st.dictionaries(keys, inner, max_size=4),
            st.sets(keys, max_size=3),
            st.frozensets(keys, max_size=3),
            st.lists(inner, max_size=3).map(lambda items: collections.deque(items, 5)),
            st.binary(max_size=9).map(bytearray),
        ),
        max_leaves=12,
    )


_numbers = count(1)


def fields_of(parts: list[Typed]) -> dict[str, Any]:
    return {f"f{at}": part.kind for at, part in enumerate(parts)}


def values_of(parts: list[Typed]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({f"f{at}": part.values for at, part in enumerate(parts)})


def classes(parts: list[Typed], family: str) -> Typed:
    """A class with a field for each of *parts*."""
    cls = FAMILIES[family](f"{family}{next(_numbers)}", fields_of(parts))
    make = cls.model_construct if family == "Model" else cls
    return Typed(cls, values_of(parts).map(lambda given: make(**given)), False)


def _model(name: str, fields: dict[str, Any]) -> Any:
    given: dict[str, Any] = {key: (kind, ...) for key, kind in fields.items()}
    return pydantic.create_model(name, __config__={"arbitrary_types_allowed": True}, **given)


def _attrs(name: str, fields: dict[str, Any]) -> Any:
    return attrs.make_class(name, {key: attrs.field(type=kind) for key, kind in fields.items()})


_named_tuple: Any = typing.NamedTuple
FAMILIES: dict[str, Any] = {
    "Data": lambda name, fields: dataclasses.make_dataclass(name, fields.items(), frozen=True, slots=True),
    "Attrs": _attrs,
    "Model": _model,
    "Struct": lambda name, fields: msgspec.defstruct(name, list(fields.items())),
    "Named": lambda name, fields: _named_tuple(name, list(fields.items())),
    "Dict": typing_extensions.TypedDict,  # the one that pydantic takes
}


def containers(part: Typed) -> list[Typed]:
    kind, values = part.kind, part.values
    few = st.lists(values, max_size=4)
    always = [
        Typed(filled(list, kind), few, False),
        Typed(filled(tuple, kind, ...), few.map(tuple), part.hashable),
        Typed(filled(dict, str, kind), st.dictionaries(st.text(), values, max_size=4), False),
        Typed(filled(collections.deque, kind), few.map(collections.deque), False),
        Typed(filled(collections.abc.Sequence, kind), few | few.map(tuple), False),
        Typed(union_of([kind, None]), st.none() | values, part.hashable),
        Typed(Any, untyped(finite=True), False),
    ]
    hashed = [
        Typed(filled(set, kind), st.sets(values, max_size=4), False),
        Typed(filled(frozenset, kind), st.frozensets(values, max_size=4), True),
        Typed(filled(dict, kind, int), st.dictionaries(values, st.integers(0, 9), max_size=4), False),
    ]
    return [*always, *hashed] if part.hashable else always


def unions(one: Typed, other: Typed) -> list[Typed]:
    if Any in {one.kind, other.kind} or _class(one.kind) is _class(other.kind):
        return []
    union = union_of([one.kind, other.kind])
    return [Typed(union, one.values | other.values, one.hashable and other.hashable)]


def _class(kind: Any) -> Any:
    origin = typing.get_origin(kind)
    if origin is typing.Literal:
        return str
    return dict if hasattr(kind, "__required_keys__") else origin or kind


@st.composite
def types(draw: st.DrawFn, depth: int = 2) -> Typed:
    leaf: Typed = draw(st.sampled_from(LEAVES))
    if depth == 0 or draw(st.integers(0, 3)) == 0:
        return leaf
    parts: list[Typed] = draw(st.lists(types(depth - 1), min_size=1, max_size=3))
    family = draw(st.sampled_from(["container", "container", "union", "tuple", *sorted(FAMILIES)]))
    if family in FAMILIES:
        return classes(parts, family)
    whole = st.tuples(*(each.values for each in parts))
    tuples = Typed(filled(tuple, *(each.kind for each in parts)), whole, all(each.hashable for each in parts))
    choices = {
        "container": containers(parts[0]),
        "union": unions(parts[0], leaf) or [leaf],
        "tuple": [tuples],
    }
    chosen: Typed = draw(st.sampled_from(choices[family]))
    return chosen


def exactly(value: Any) -> Any:
    """What tells *value* from anything that is not of its type in every part."""
    cls = type(value)
    if isinstance(value, dict):
        return cls, [(exactly(key), exactly(each)) for key, each in value.items()]
    if isinstance(value, set | frozenset):
        return cls, sorted(repr(exactly(each)) for each in value)
    if isinstance(value, list | tuple | collections.deque):
        return cls, getattr(value, "maxlen", None), [exactly(each) for each in value]
    if isinstance(value, datetime | time):
        return cls, value.isoformat()
    return cls, [(name, exactly(getattr(value, name))) for name in field_names(cls)] or repr(value)


def field_names(cls: Any) -> list[str]:
    if issubclass(cls, pydantic.BaseModel):
        return [*cls.model_fields, "model_fields_set"]
    if issubclass(cls, msgspec.Struct):
        return list(cls.__struct_fields__)
    if dataclasses.is_dataclass(cls):
        return [each.name for each in dataclasses.fields(cls)]
    return [each.name for each in attrs.fields(cls)] if attrs.has(cls) else []


@every_codec
@unhurried
@given(data=st.data())
def test_a_value_of_a_declared_type_comes_back_as_what_it_was(name: str, data: st.DataObject) -> None:
    """For every type and every value of it, what is read equals what was written, in type and in every part."""
    typed = data.draw(types())
    value = data.draw(typed.values)
    codec = CODECS[name].codec_for(typed.kind)

    back = codec.decode(memoryview(codec.encode(value)))

    assert exactly(back) == exactly(value)


@every_codec
@unhurried
@given(value=untyped())
def test_a_value_of_no_declared_type_comes_back_as_what_it_was(name: str, value: Any) -> None:
    """Under `Any`, builtins and everyday types come back as what they were, nested as they were."""
    back = CODECS[name].decode(CODECS[name].encode(value))

    assert exactly(back) == exactly(value)


def _spoiled(draw: st.DrawFn, raw: bytes) -> bytes:
    """Some change of *raw* that a broken or hostile writer might have made."""
    at = draw(st.integers(0, len(raw)))
    cut = draw(st.integers(0, 4))
    return raw[:at] + draw(st.binary(max_size=4)) + raw[at + cut :]


spoiled = st.composite(_spoiled)


@every_codec
@unhurried
@given(data=st.data())
def test_spoiled_bytes_are_a_codec_error_or_a_value(name: str, data: st.DataObject) -> None:
    """Whatever lies under a key, reading it raises nothing but `CodecError`."""
    typed = data.draw(types())
    codec = CODECS[name].codec_for(typed.kind)
    raw = data.draw(st.binary(max_size=60) | spoiled(codec.encode(data.draw(typed.values))))

    _read(codec, raw)


@every_codec
@unhurried
@given(data=st.data(), value=untyped())
def test_spoiled_untyped_bytes_are_a_codec_error_or_a_value(
    name: str, data: st.DataObject, value: Any
) -> None:
    """Tags of types that do not exist, or with content that is not theirs, raise nothing but `CodecError`."""
    raw = data.draw(st.binary(max_size=60) | spoiled(CODECS[name].encode(value)))

    _read(CODECS[name], raw)


def _read(codec: Any, raw: bytes) -> None:
    try:
        codec.decode(memoryview(raw))
    except CodecError:
        return


@unhurried
@given(data=st.data(), value=untyped())
def test_spoiled_pickles_are_never_unpickled(data: st.DataObject, value: Any) -> None:
    """One changed byte, and a signed pickle is refused."""
    codec = SignedPickleCodec(KEY)
    raw = codec.encode(value)
    changed = data.draw(spoiled(raw))

    if changed != raw:
        with pytest.raises(CodecError, match="signature"):
            codec.decode(changed)


@unhurried
@given(payload=st.binary(max_size=300), data=st.data())
@pytest.mark.parametrize("algorithm", ["lz4", "zstd"])
def test_compression_is_undone_or_refused(algorithm: Any, payload: bytes, data: st.DataObject) -> None:
    """Unpacking gives the very bytes; of spoiled ones it gives those or a `CodecError`, never others."""
    whole = payload * data.draw(st.integers(1, 50))
    bits, packed = compress(whole, 0, algorithm)
    assert decompress(bits, memoryview(packed)) == whole

    changed = data.draw(spoiled(packed))
    if bits and changed != packed:
        try:
            assert decompress(bits, changed) == whole
        except CodecError:
            return
