"""Types, one by one: what is read back, what is refused before anything is stored, and what the errors say."""

from __future__ import annotations

import collections
import collections.abc
import json
import subprocess
import sys
import tracemalloc
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from pathlib import Path
from typing import Any, Generic, Literal, NamedTuple, NotRequired, TypedDict, TypeVar
from zoneinfo import ZoneInfo

import attrs
import msgspec
import pytest

from staleproof import CodecError, ConfigurationError
from staleproof.codecs import JsonCodec, MsgpackCodec
from staleproof.errors import InexactError

T = TypeVar("T")
CODECS: list[Any] = [MsgpackCodec(), JsonCodec()]
every_codec = pytest.mark.parametrize("codecs", CODECS, ids=["msgpack", "json"])
msgpack, _json = CODECS


def again(codecs: Any, kind: Any, value: Any) -> Any:
    codec = codecs.codec_for(kind)
    return codec.decode(memoryview(codec.encode(value)))


@dataclass
class Item:
    id: int
    name: str = "none"


@dataclass
class Special(Item):
    discount: int = 5


@dataclass
class Box(Generic[T]):
    content: T
    others: list[T] = field(default_factory=list)


@dataclass
class Labelled(Box[Path], Generic[T]):
    """Its own `T` is another than its base's."""

    label: T | None = None


@dataclass
class Node:
    value: Any
    children: list[Node] = field(default_factory=list)


@dataclass
class Folder:
    path: Path
    parent: Folder | None = None
    files: dict[str, Folder] = field(default_factory=dict)


@dataclass
class Left:
    right: Right | None = None
    path: Path = Path("left")


@dataclass
class Right:
    left: Left | None = None


class Base(msgspec.Struct, tag_field="kind", rename="camel", omit_defaults=True):
    item_id: int


class Extended(Base, tag="extended"):
    extra_data: Any = None


class Other(Base, tag="other", array_like=False):
    pass


@dataclass(eq=False)
class Plain:
    values: list[float]


class Unequal(msgspec.Struct, eq=False):
    plain: Plain


class Options(TypedDict):
    path: Path
    limit: NotRequired[int]


class Pair(NamedTuple):
    first: Path
    second: int = 2


@attrs.define
class Frame:
    path: Path
    _hidden: int = 3
    parts: list[int] = attrs.field(factory=list)


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


class ByMeta(Enum):
    """Values of several types: stored by name."""

    ONE = 1
    TWO = "two"


@every_codec
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Box[int], Box(1, [2])),
        (Box[Path], Box(Path("a"), [Path("b")])),
        (Box[Item | None], Box[Item | None](Item(1), [None])),
        (Labelled[int], Labelled(Path("a"), [Path("b")], 7)),
        (Node, Node({1}, [Node(Decimal(1)), Node(None)])),
        (Folder, Folder(Path("a"), Folder(Path("b")), {"c": Folder(Path("c"))})),
        (Left, Left(Right(Left(None, Path("x"))))),
        (list[Extended | Other], [Extended(1, {"a": (1, 2)}), Other(2)]),
        (Options, {"path": Path("a")}),
        (list[Pair], [Pair(Path("a"))]),
        (Frame, Frame(Path("a"), 4, [1])),
        (dict[ByMeta, int], {ByMeta.TWO: 1}),
        (dict[Path, Path], {Path("a"): Path("b")}),
        (dict[int | str, int], {1: 1, "1": 2}),
        (dict[tuple[int, str], list[Item]], {(1, "a"): [Item(1)]}),
        (dict[bool, int], {True: 1}),
        (dict, {1: (2, 3), "a": {4}}),
        (list, [(1,), {2}]),
        (tuple, (1, [2])),
        (tuple[()], ()),
        (collections.OrderedDict[str, Path], collections.OrderedDict(a=Path("a"))),
        (collections.Counter[str], collections.Counter("aab")),
        (collections.abc.Sequence[int], (1, 2)),
        (collections.abc.Collection[int], {1}),
        (collections.abc.Mapping[str, Path], {"a": Path("a")}),
        (Item | Options | list[int] | set[int] | None, {3}),
        (Item | Pair | str, Pair(Path("a"))),
        (str | Literal["x"], "y"),  # noqa: PYI051
        (Literal[Colour.RED, 3], Colour.RED),
        (str | datetime, datetime(2024, 1, 2, tzinfo=UTC)),
        (float | Item, 1.5),
        (object, (1,)),
        (Any, None),
    ],
    ids=str,
)
def test_a_value_comes_back_as_what_it_was(codecs: Any, kind: Any, value: Any) -> None:
    """Generic, recursive, nested, keyed and joined types are read back as declared."""
    back = again(codecs, kind, value)

    assert (back, type(back)) == (value, type(value))


@every_codec
@pytest.mark.parametrize(
    ("kind", "says"),
    [
        (collections.abc.Iterable[int], "nothing is known"),
        (collections.abc.Callable[[], int], "nothing is known"),
        (type, "nothing is known"),
        (range, "annotate a dataclass"),
        (Exception, "Exception"),
        ("int", "'int'"),
        (list["Item"], "Item"),
        (collections.defaultdict[str, int], "its factory is code; annotate a dict"),
        (list[int] | list[str], "cannot be told apart"),
        (Box[int] | Box[str], "give each a class of its own"),
        (dict[str, range], "range"),
    ],
    ids=str,
)
def test_a_type_that_cannot_be_read_back_is_refused(codecs: Any, kind: Any, says: str) -> None:
    """Refused before anything is stored, by an error that names the type and the remedy."""
    with pytest.raises(ConfigurationError, match="cannot be cached") as refused:
        codecs.codec_for(kind)

    assert says in str(refused.value)


def test_an_init_only_field_is_refused() -> None:
    """A value does not keep what only its `__init__` was given."""

    @dataclass
    class Passing:
        id: int
        seed: InitVar[int] = 3

    with pytest.raises(ConfigurationError, match=r"the InitVar 'seed'.*make it a field"):
        MsgpackCodec(Passing)


def test_an_annotation_for_type_checkers_only_is_refused() -> None:
    """A field whose type does not exist at run time is named, with the place to import it."""

    @dataclass
    class Hinted:
        path: Path
        amount: Unimported  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigurationError, match=r"'Unimported' is not defined.*outside of TYPE_CHECKING"):
        MsgpackCodec(Hinted)


def test_a_class_may_mention_itself_where_it_is_local() -> None:
    """A class inside a function is found by its own name."""

    @dataclass
    class Local:
        id: int
        next: Local | None = None

    assert again(msgpack, Local, Local(1, Local(2))) == Local(1, Local(2))


@every_codec
@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        (list[int], (1, 2), "a tuple comes back as a list"),
        (dict[str, list[int]], {"s3cret": (1,)}, r"at \[…\]: a tuple comes back as a list"),
        (list[Item], [Item(1), Special(2)], r"at \[1\]: a Special comes back as a Item"),
        (Box[Item], Box(Special(1)), "at .content: a Special comes back as a Item"),
        (Options, {"path": Path("a"), "s3cret": 1}, "2 parts comes back with 1"),
        (int, True, "is no <class 'int'>"),
        (dict[str, int], {"a": "s3cret"}, "mend the annotation"),
        (Item, {"id": 1, "name": "s3cret"}, "a dict comes back as a Item"),
        (Item | Options, 5, "none of the union's"),
        (date, datetime(2024, 1, 1, tzinfo=UTC), "is no <class 'datetime.date'>"),
        (Path, "s3cret", "a str comes back as a"),
        (Literal["a"], "s3cret", "is no typing.Literal"),
        (tuple[int, Path], (1,), "cannot be stored"),
    ],
    ids=str,
)
def test_a_value_of_another_type_is_refused(codecs: Any, kind: Any, value: Any, says: str) -> None:
    """What would come back as something else is not stored; the error says where, and not what the value holds."""
    with pytest.raises(CodecError, match=says) as refused:
        codecs.codec_for(kind).encode(value)

    assert "s3cret" not in str(refused.value)


class Rank(IntEnum):
    FIRST = 1


class Word(StrEnum):
    ONE = "one"


class Rows(list[int]):
    pass


class Point(NamedTuple):
    x: int
    y: int


class Tagged(msgspec.Struct, tag="tagged", array_like=True):
    amount: float


class Untagged(msgspec.Struct, tag="untagged", array_like=True):
    amount: float


@dataclass
class Priced:
    price: float
    history: list[float] = field(default_factory=list)
    before: Priced | None = None


class Rated(TypedDict):
    rate: float


class Measured(NamedTuple):
    length: float


@every_codec
@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        (dict[str, int], collections.defaultdict(int, {"s3cret": 1}), "a defaultdict comes back as a dict"),
        (dict[str, int], collections.OrderedDict(a=1), "a OrderedDict comes back as a dict"),
        (dict[str, int], collections.Counter("a"), "a Counter comes back as a dict"),
        (Options, collections.OrderedDict(path=Path("a")), "a OrderedDict comes back as a dict"),
        (tuple[int, int], Point(1, 2), "a Point comes back as a tuple"),
        (tuple[int, ...], Point(1, 2), "a Point comes back as a tuple"),
        (int, Rank.FIRST, "a Rank comes back as a int"),
        (str, Word.ONE, "a Word comes back as a str"),
        (list[int], Rows([1]), "a Rows comes back as a list"),
        (bytes, bytearray(b"s3cret"), "a bytearray comes back as a bytes"),
        (list[tuple[int, int]], [(3, 4), Point(1, 2)], r"at \[1\]: a Point comes back as a tuple"),
        (dict[str, int], {"s3cret": Rank.FIRST}, r"at \[…\]: a Rank comes back as a int"),
        (dict[int, int], {Rank.FIRST: 1}, "with keys of another class"),
        (set[int], {Rank.FIRST, 2}, "a set comes back as another"),
        (frozenset[str], frozenset({Word.ONE}), "a frozenset comes back as another"),
        (Box[dict[str, int]], Box(collections.OrderedDict(a=1)), r"at \.content: a OrderedDict"),
        (list[Item], [Item(1), Item(Rank.FIRST)], r"at \[1\]\.id: a Rank comes back as a int"),
        (collections.deque[int], collections.deque([Rank.FIRST]), "a Rank comes back as a int"),
    ],
    ids=str,
)
def test_what_is_equal_and_of_another_class_is_refused_too(
    codecs: Any, kind: Any, value: Any, says: str
) -> None:
    """`==` is not enough: the second caller would get a dictionary where the first got a `defaultdict`."""
    with pytest.raises(InexactError, match=says) as refused:
        codecs.codec_for(kind).encode(value)

    assert "s3cret" not in str(refused.value)


@every_codec
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (float, 5),
        (float, 5.0),
        (float | None, 5),
        (float | Item, 5),
        (list[float], [1, 2.0]),
        (tuple[float, ...], (1, 2.0)),
        (dict[str, float], {"a": 1}),
        (dict[float, float], {1: 2, 2.5: 3}),
        (set[float], {1, 2.5}),
        (Priced, Priced(1, [2, 2.0], Priced(3.5, [4]))),
        (list[Tagged | Untagged], [Tagged(1), Untagged(2.5), Untagged(3)]),
        (Rated, {"rate": 1}),
        (Measured, Measured(1)),
        (Box[float], Box(1, [2, 3.0])),
    ],
    ids=str,
)
def test_an_integer_under_float_stays_one(codecs: Any, kind: Any, value: Any) -> None:
    """Where a float is declared an integer will do (PEP 484): it comes back as the integer, wherever it is."""
    assert repr(again(codecs, kind, value)) == repr(value)


@every_codec
def test_bytes_that_claim_to_be_wide_are_refused_like_others(codecs: Any) -> None:
    """The form for integers among floats is read by its mark alone, and trusts no more than any other."""
    mark = b"\xc1" if codecs is msgpack else b" "
    for kind in (float, Priced, int, str):
        for payload in (b"", mark, mark + mark, mark + b"\xd9", mark + codecs.encode("no number")):
            if kind is str and payload == mark + codecs.encode("no number") and codecs is not msgpack:
                continue  # white space before JSON
            with pytest.raises(CodecError):
                codecs.codec_for(kind).decode(payload)


@every_codec
@pytest.mark.parametrize(
    ("value", "says"),
    [
        (Item(1), "a Item would not come back as one; declare its type"),
        ({"a": [Colour.RED]}, "a Colour would not"),
        (collections.defaultdict(int, a=1), "a defaultdict would not"),
        (object(), "an? object would not"),
        (2**70, "cannot be stored"),
        ("\ud800", "UnicodeEncodeError"),
    ],
    ids=["undeclared class", "enum", "defaultdict", "object", "beyond 64 bits", "lone surrogate"],
)
def test_under_any_only_what_comes_back_is_stored(codecs: Any, value: Any, says: str) -> None:
    """Without a declared type, a class would come back as a dictionary to the second caller: it is refused."""
    if codecs is not msgpack and value == 2**70:
        assert again(codecs, Any, value) == value
        return
    with pytest.raises(CodecError, match=says):
        codecs.encode(value)


@every_codec
def test_what_is_nested_without_end_is_refused(codecs: Any) -> None:
    """A value that holds itself, and bytes that nest deeper than Python goes, are errors and no crash."""
    endless: list[Any] = []
    endless.append(endless)
    deep = b"\x91" * 100_000 if codecs is msgpack else b"[" * 100_000

    with pytest.raises(CodecError, match="RecursionError"):
        codecs.encode(endless)
    for kind in (Any, Node, list[Any]):
        with pytest.raises(CodecError):
            codecs.codec_for(kind).decode(deep)


def test_lengths_that_lie_cost_nothing() -> None:
    """An array, text or extension that claims four billion parts is refused before anything is made room for."""
    for start in (b"\xdd", b"\xdf", b"\xc6", b"\xc9", b"\xdb"):
        for kind in (Any, list[int], dict[str, Any], tuple[int, ...]):
            with pytest.raises(CodecError):
                MsgpackCodec(kind).decode(start + b"\xff\xff\xff\xff\x01")


class TestTime:
    """A datetime keeps the instant and the wall clock."""

    SUMMER_ENDS = datetime(2024, 10, 27, 2, 30, tzinfo=ZoneInfo("Europe/Vienna"), fold=1)

    @every_codec
    @pytest.mark.parametrize("kind", [datetime, datetime | str, Any])
    @pytest.mark.parametrize("hours", [-11.5, 0, 5.75])
    def test_offsets(self, codecs: Any, kind: Any, hours: float) -> None:
        """What was 14:00 in Kathmandu is 14:00 there, not 08:15 somewhere."""
        value = datetime(2024, 5, 6, 14, 0, 0, 1, timezone(timedelta(hours=hours)))

        assert again(codecs, kind, value).isoformat() == value.isoformat()

    @every_codec
    @pytest.mark.parametrize("kind", [datetime, Any])
    def test_zones(self, codecs: Any, kind: Any) -> None:
        """A named zone comes back as the offset that it had, even in the hour that the end of summer repeats."""
        back = again(codecs, kind, self.SUMMER_ENDS)

        assert back.isoformat() == self.SUMMER_ENDS.isoformat() == "2024-10-27T02:30:00+01:00"

    def test_offsets_of_seconds(self) -> None:
        """An offset that the format cannot tell exactly is refused, not rounded."""
        odd = datetime(2024, 1, 1, tzinfo=timezone(timedelta(seconds=3_601)))

        with pytest.raises(CodecError, match="a datetime comes back as another"):
            MsgpackCodec(datetime).encode(odd)

    def test_earlier_entries(self) -> None:
        """Timestamps that version 0.1.0 wrote are read, in UTC."""
        value = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)

        assert MsgpackCodec(datetime).decode(msgspec.msgpack.encode(value)) == value


class TestNoNumbers:
    """What equals nothing, itself included, is told from what is lost."""

    def test_nan_is_kept(self) -> None:
        """MessagePack carries NaN and infinities, wherever they are."""
        back = again(msgpack, list[float | None], [float("nan"), float("-inf"), None])

        assert repr(back) == "[nan, -inf, None]"
        assert repr(again(msgpack, Decimal, Decimal("NaN"))) == "Decimal('NaN')"
        assert repr(again(msgpack, list[Decimal], [Decimal("sNaN")])) == "[Decimal('sNaN')]"
        assert repr(again(msgpack, dict[str, Box[float]], {"a": Box(float("nan"))})["a"].content) == "nan"

    @pytest.mark.parametrize("value", [float("nan"), float("inf")])
    def test_json_has_none(self, value: float) -> None:
        """JSON would write them as null: a declared float is refused, one under `Any` is tagged."""
        for kind in (float, float | None, list[float | None]):
            with pytest.raises(CodecError):
                JsonCodec(kind).encode([value] if kind == list[float | None] else value)
        assert repr(again(_json, Any, [value])) == repr([value])

    def test_classes_without_equality(self) -> None:
        """A class that defines no `==` is compared by its fields."""
        assert again(msgpack, Unequal, Unequal(Plain([1.5]))).plain.values == [1.5]
        with pytest.raises(CodecError, match=r"at \.plain\.values: a tuple comes back as a list"):
            MsgpackCodec(Unequal).encode(Unequal(Plain((1.5,))))  # type: ignore[arg-type]


class TestReleases:
    """A class changes between releases; what an older one stored is read where that is safe."""

    @every_codec
    def test_a_new_field_has_its_default(self, codecs: Any) -> None:
        """Fields that were not written have their defaults, in whatever way the class is read."""
        wrote = codecs.codec_for(dict[str, Any])
        raw = wrote.encode(
            {"id": 1, "path": "a", "first": "a", "itemId": 1, "kind": "extended", "content": "a"}
        )

        assert codecs.codec_for(Item).decode(raw) == Item(1)
        assert codecs.codec_for(Folder).decode(raw) == Folder(Path("a"))
        assert codecs.codec_for(Frame).decode(raw) == Frame(Path("a"))
        assert codecs.codec_for(Pair).decode(raw) == Pair(Path("a"))
        assert codecs.codec_for(Options).decode(raw) == {"path": Path("a")}
        assert codecs.codec_for(Extended).decode(raw) == Extended(1)
        assert codecs.codec_for(Box[Path]).decode(raw) == Box(Path("a"))

    @every_codec
    def test_a_new_field_without_a_default_is_a_miss(self, codecs: Any) -> None:
        """What cannot be completed is not read."""
        raw = codecs.codec_for(dict[str, str]).encode({"name": "x"})

        for kind in (Item, Folder, Frame, Pair, Options, Extended, Box[int]):
            with pytest.raises(CodecError):
                codecs.codec_for(kind).decode(raw)

    def test_a_union_is_read_in_any_order(self) -> None:
        """Members are stored by name: an annotation in another order reads the same."""
        raw = MsgpackCodec(Item | Special | None).encode(Special(1))

        assert MsgpackCodec(None | Special | Item).decode(raw) == Special(1)
        with pytest.raises(CodecError):
            MsgpackCodec(Item | Node).decode(raw)

    def test_a_class_that_minds_is_a_miss(self) -> None:
        """Whatever a class raises on fields that an older release wrote is a miss."""

        @dataclass
        class Minding:
            kind: str
            table: Any = None

            def __post_init__(self) -> None:
                self.table = {"new": 1}[self.kind]

        assert again(msgpack, Minding, Minding("new")) == Minding("new")
        with pytest.raises(CodecError, match="KeyError"):
            MsgpackCodec(Minding).decode(msgspec.msgpack.encode({"kind": "old"}))


class TestJson:
    """What other programs see."""

    def test_it_is_plain(self) -> None:
        """Classes are objects by the names of their fields; keys are text."""
        raw = JsonCodec(dict[int, Folder]).encode({7: Folder(Path("a"), Folder(Path("b")))})

        inner: dict[str, Any] = {"path": "b", "parent": None, "files": {}}
        assert json.loads(raw) == {"7": {"path": "a", "parent": inner, "files": {}}}

    def test_tags_are_not_mistaken(self) -> None:
        """A dictionary of the user's that looks like a tag comes back as itself."""
        values: list[Any] = [
            {"$set": [1]},
            {"$dict": []},
            {"$": 1},
            {"a": {"$decimal": "1"}},
            {"$a": 1, "b": 2},
        ]
        for value in values:
            assert again(_json, Any, value) == value
            assert again(_json, dict[str, Any], value) == value

    def test_others_write_it(self) -> None:
        """Whitespace, another order of keys and unknown keys are no matter."""
        assert JsonCodec(Item).decode(b' {"name": "x", "more": [], "id": 3} ') == Item(3, "x")


@pytest.mark.parametrize(
    ("codecs", "payload"),
    [
        (msgpack, b"\xc7\x06\x24" + b"\x91\xce" + (2**29).to_bytes(4, "big")),
        (msgpack, b"\xd4\x24\x90"),
        (msgpack, b"\xc7\x04\x24" + b"\x91\x92\x01\x02"),
        (_json, b'{"$bytearray":[2147483647]}'),
        (_json, b'{"$bytearray":["text","utf-8"]}'),
        (_json, b'{"$bytearray":[]}'),
    ],
)
def test_a_bytearray_is_made_of_bytes_and_of_no_size(codecs: Any, payload: bytes) -> None:
    """A few stored bytes that name gigabytes are refused before any is allocated."""
    tracemalloc.start()
    try:
        with pytest.raises(CodecError):
            codecs.decode(payload)
        assert tracemalloc.get_traced_memory()[1] < 2**24
    finally:
        tracemalloc.stop()


def test_a_codec_is_its_own_factory() -> None:
    """A cache is given one codec, and asks it for those of other types."""
    codec = JsonCodec().codec_for(Item)

    assert (codec.kind, codec.codec_id, MsgpackCodec.codec_id) == (Item, 1, 0)
    assert repr(codec) == f"JsonCodec({Item!r})"


def test_a_type_is_compiled_once() -> None:
    """Codecs are made at every `cache.get(…, kind=…)`: the second one costs a look-up."""
    one, other = MsgpackCodec(list[Folder]), MsgpackCodec(list[Folder])

    assert one._form is other._form


def test_a_cold_start_loads_no_codec_that_it_does_not_use() -> None:
    """Importing the cache and reading plain values loads no compiler of types, no pickle, no compression library."""
    program = (
        "import sys\nfrom staleproof import Cache\nfrom staleproof.codecs import MsgpackCodec\n"
        "assert MsgpackCodec().decode(bytes([0x91, 1])) == [1]\nprint(*sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=True)
    loaded = set(ran.stdout.split())

    assert (
        loaded & {"pydantic", "lz4", "backports.zstd", "compression.zstd", "attrs", "pickle", "hmac"} == set()
    )
    assert {name for name in loaded if name.startswith("staleproof.codecs.")} <= {
        f"staleproof.codecs.{name}" for name in ("codec", "msgpack", "typed", "compression")
    }
