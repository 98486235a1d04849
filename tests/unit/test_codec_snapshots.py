"""What a release stored, every later one reads; and no release changes what it writes without a new snapshot."""

from __future__ import annotations

import collections
import json
import re
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from ipaddress import IPv4Address
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple, TypedDict
from uuid import UUID

import msgspec
import pydantic
import pytest

from staleproof.codecs import JsonCodec, MsgpackCodec, SignedPickleCodec, ZstdDictionary, decompress

SNAPSHOTS = Path(__file__).parent.parent / "snapshots"


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: float = 0.5


class Row(TypedDict):
    id: int
    name: str


class Tagged(msgspec.Struct, tag="tagged"):
    id: int


@dataclass
class Product:
    id: int
    name: str
    price: Decimal
    tags: list[str] = field(default_factory=list)


class Cat(pydantic.BaseModel):
    lives: int = 9


class Dog(pydantic.BaseModel):
    name: str = pydantic.Field(alias="Name")


class Owner(pydantic.BaseModel):
    pets: list[Cat | Dog]
    since: date | None = None


PRODUCT = Product(7, "kettle", Decimal("12.50"), ["a", "b"])
EVERYTHING = {
    "none": None, "true": True, "int": -5, "float": 1.5, "text": "é", "bytes": b"\x00\xff", "list": [1, [2]],
    "tuple": (1, (2,)), "set": {3}, "frozenset": frozenset({4}), "bytearray": bytearray(b"x"),
    "datetime": datetime(2024, 5, 6, 7, 8, 9, 10, timezone(timedelta(hours=2))), "date": date(2024, 5, 6),
    "time": time(7, 8), "timedelta": timedelta(-1, 2, 3), "decimal": Decimal("1.10"), "uuid": UUID(int=5),
    "complex": 1 - 2j, "path": PurePosixPath("a/b"), "address": IPv4Address("10.0.0.1"),
    "deque": collections.deque([1], 3), "counter": collections.Counter("a"), "keys": {(1, "a"): 2},
}  # fmt: skip

SAMPLES: dict[str, tuple[Any, Any]] = {
    "none": (None, None),
    "int": (int, 2**63),
    "float": (float, 0.1),
    "text": (str, "grüß"),
    "bytes": (bytes, b"\x00\xff"),
    "list": (list[int], [1, 2]),
    "dictionary": (dict[str, float], {"a": 1.5}),
    "tuple": (tuple[int, str], (1, "a")),
    "set": (set[int], {3}),
    "enum": (Colour, Colour.RED),
    "naive": (datetime, datetime(2024, 5, 6, 7, 8, 9, 10)),  # noqa: DTZ001
    "utc": (datetime, datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)),
    "date": (date, date(2024, 5, 6)),
    "time": (time, time(7, 8, 9)),
    "timedelta": (timedelta, timedelta(-1, 2, 3)),
    "decimal": (Decimal, Decimal("1.10")),
    "uuid": (UUID, UUID(int=5)),
    "dataclass": (Product, PRODUCT),
    "dataclasses": (list[Product], [PRODUCT]),
    "named tuple": (Point, Point(1)),
    "typed dictionary": (Row, {"id": 1, "name": "a"}),
    "struct": (Tagged, Tagged(5)),
    "optional": (Product | None, None),
    "untyped": (Any, {"a": [1, 2.5, None, True, "b"]}),
    # since 0.2.0
    "offset": (datetime, datetime(2024, 5, 6, 7, 8, 9, tzinfo=timezone(timedelta(hours=2)))),
    "everything": (Any, EVERYTHING),
    "model": (Owner, Owner(pets=[Cat(), Dog(Name="Rex")], since=date(2024, 5, 6))),
    "union": (Product | Point | None, Point(1, 2.0)),
    "text or bytes": (str | bytes, b"x"),
    "address": (IPv4Address, IPv4Address("10.0.0.1")),
    "path": (PurePosixPath, PurePosixPath("a/b")),
    "complex": (complex, 1 - 2j),
    "pairs": (dict[tuple[int, int], str], {(1, 2): "a"}),
    "deque": (collections.deque[int], collections.deque([1], 3)),
    "counter": (collections.Counter[str], collections.Counter("aab")),
}

KEY = bytes(range(32))
CODECS: dict[str, Any] = {
    "msgpack": MsgpackCodec(),
    "json": JsonCodec(),
    "signed-pickle": SignedPickleCodec(KEY, context=b"shop"),
}
# Pickles name classes by the module that they live in, and this one has no lasting name.
PICKLED = ("none", "int", "dictionary", "utc", "decimal", "untyped")
DATA = re.compile(r"codec-([a-z-]+)-(\d+\.\d+\.\d+)\.json")


def written(codec: str) -> dict[str, str]:
    """What today's code writes, as text: JSON as it is, the others in hexadecimal."""
    names = PICKLED if codec == "signed-pickle" else SAMPLES
    raw = {name: CODECS[codec].codec_for(SAMPLES[name][0]).encode(SAMPLES[name][1]) for name in names}
    return {name: each.decode() if codec == "json" else each.hex() for name, each in raw.items()}


def stored(path: Path) -> dict[str, bytes]:
    texts = json.loads(path.read_text())
    return {
        name: each.encode() if "-json-" in path.name else bytes.fromhex(each) for name, each in texts.items()
    }


def releases() -> dict[str, list[Path]]:
    """The snapshots of each codec, oldest first."""
    found: dict[str, list[tuple[tuple[int, ...], Path]]] = {}
    for path in SNAPSHOTS.glob("codec-*.json"):
        match = DATA.fullmatch(path.name)
        assert match is not None, path
        found.setdefault(match[1], []).append((tuple(map(int, match[2].split("."))), path))
    return {codec: [path for _, path in sorted(paths)] for codec, paths in found.items()}


EVERY = [(codec, path) for codec, paths in releases().items() for path in paths]


def test_every_codec_has_snapshots() -> None:
    """A codec whose bytes may lie in somebody's cache is one whose bytes are kept here."""
    assert releases().keys() == CODECS.keys()


@pytest.mark.parametrize(("codec", "path"), EVERY, ids=[path.stem for _, path in EVERY])
def test_what_a_release_stored_is_read(codec: str, path: Path) -> None:
    """Every value of every released snapshot is read back by today's code as what it was."""
    for name, raw in stored(path).items():
        kind, value = SAMPLES[name]
        read = CODECS[codec].codec_for(kind).decode(memoryview(raw))
        assert (name, read, type(read)) == (name, value, type(value))


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_written_has_a_snapshot(codec: str) -> None:
    """Today's bytes are those of the newest snapshot: a release that writes others begins with a new file."""
    newest = releases()[codec][-1]
    assert written(codec) == json.loads(newest.read_text())


@pytest.mark.parametrize("bits", [0x10, 0x20])
@pytest.mark.parametrize("release", ["0.2.0"])
def test_what_a_release_compressed_is_unpacked(release: str, bits: int) -> None:
    """Compressed bytes of every release are unpacked; what a library writes today may differ, and still be read."""
    folder = {0x10: "lz4", 0x20: "zstd"}
    packed = (SNAPSHOTS / f"codec-{folder[bits]}-{release}.bin").read_bytes()
    assert decompress(bits, packed) == b"staleproof " * 300


def test_what_a_release_compressed_by_a_dictionary_is_unpacked() -> None:
    """A trained dictionary and a frame that needs it are kept, too."""
    raw = (SNAPSHOTS / "codec-zstd-dictionary-0.2.0.bin").read_bytes()
    packed = (SNAPSHOTS / "codec-zstd-dictionary-frame-0.2.0.bin").read_bytes()
    assert decompress(0x20, packed, dictionaries=[ZstdDictionary(raw)]) == SAMPLE_ROW


SAMPLE_ROW = MsgpackCodec().encode({"id": 7, "name": "product 7", "brand": "brand 3", "price": 12.5})
