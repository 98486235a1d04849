"""Pydantic models: stored as what they are, and brought back without asking their validators again."""

from __future__ import annotations

import functools
import subprocess
import sys
import threading
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, TypeVar

import msgspec
import pydantic
import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, RootModel

from staleproof import CodecError, ConfigurationError
from staleproof.codecs import JsonCodec, MsgpackCodec

T = TypeVar("T")
CODECS: list[Any] = [MsgpackCodec(), JsonCodec()]
every_codec = pytest.mark.parametrize("codecs", CODECS, ids=["msgpack", "json"])


def again(codecs: Any, kind: Any, value: Any) -> Any:
    codec = codecs.codec_for(kind)
    return codec.decode(memoryview(codec.encode(value)))


class Cat(BaseModel):
    kind: Literal["cat"] = "cat"
    lives: int = Field(default=9, ge=0)


class Dog(BaseModel):
    kind: Literal["dog"] = "dog"
    name: str


class Puppy(Dog):
    weeks: int = 3


class Owner(BaseModel):
    """Aliases of every sort, a discriminated union, itself, and a field that serialisation leaves out."""

    model_config = ConfigDict(frozen=True)

    pets: list[Annotated[Cat | Dog, Field(discriminator="kind")]] = Field(alias="Pets")
    by_name: dict[str, Cat | None] = Field(default={}, validation_alias="byName", serialization_alias="names")
    since: datetime | date | None = None
    hidden: Decimal = Field(default=Decimal(1), exclude=True)
    neighbour: Owner | None = None

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def count(self) -> int:
        return len(self.pets)

    @functools.cached_property
    def first(self) -> str:
        return self.pets[0].kind


class Parsed(BaseModel):
    """Its validators read what comes from outside, and nothing else; its serialiser writes for the outside."""

    words: list[str]

    @pydantic.field_validator("words", mode="before")
    @classmethod
    def split(cls, text: str) -> list[str]:
        return text.split()

    @pydantic.model_validator(mode="before")
    @classmethod
    def renamed(cls, given: Any) -> Any:
        return {"words": given["text"]}

    @pydantic.field_serializer("words")
    def joined(self, words: list[str]) -> str:
        return " ".join(words)


class Page(BaseModel, Generic[T]):
    items: list[T]
    cursor: str | None = None


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")

    id: int


class Counting(BaseModel):
    id: int
    _seen: set[date] = PrivateAttr(default_factory=set)
    _score = 5


class Locked(BaseModel):
    _lock: Any = PrivateAttr(default_factory=threading.Lock)


@dataclass
class Household:
    owner: Owner
    pages: dict[str, Page[Cat]]


class Envelope(msgspec.Struct, tag=True):
    model: Cat | Dog | None


@pydantic.dataclasses.dataclass
class Validated:
    id: int = Field(gt=0)
    cats: list[Cat] = Field(default_factory=list)


LITTLE: dict[str, Any] = {}
OWNER = Owner.model_validate(
    {
        "Pets": [Cat(lives=3), Dog(name="Rex")],
        "byName": {"a": Cat(), "b": None},
        "since": datetime(2024, 5, 6, 7, tzinfo=timezone(timedelta(hours=2))),
        "hidden": Decimal("2.50"),
        "neighbour": Owner(Pets=[]),
    }
)


@every_codec
@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Cat, Cat()),
        (Owner, OWNER),
        (list[Owner | None], [OWNER, None]),
        (dict[str, tuple[Owner, ...]], {"a": (OWNER,)}),
        (Cat | Dog, Dog(name="Rex")),
        (Cat | Dog | str | None, Cat()),
        (Dog | Puppy, Puppy(name="Rex")),
        (Page[Cat], Page[Cat](items=[Cat()])),
        (Page[int | Dog], Page[int | Dog](items=[1, Dog(name="Rex")])),
        (RootModel[list[Cat]], RootModel[list[Cat]]([Cat()])),
        (Household, Household(OWNER, {"a": Page[Cat](items=[])})),
        (Envelope, Envelope(Dog(name="Rex"))),
        (Validated, Validated(1, [Cat()])),
        (Parsed, Parsed.model_validate({"text": "a b"})),
        (Open, Open.model_validate({"id": 1, "more": Decimal("1.0"), "even": {"a": (1,)}})),
        (Counting, Counting(id=1)),
        (pydantic.HttpUrl, pydantic.HttpUrl("https://example.com/a")),
        (dict[str, pydantic.HttpUrl | None], {"a": pydantic.HttpUrl("https://example.com/a")}),
    ],
    ids=repr,
)
def test_a_model_comes_back_as_what_it_was(codecs: Any, kind: Any, value: Any) -> None:
    """Wherever it is nested, whatever its aliases, validators and serialisers."""
    back = again(codecs, kind, value)

    assert (back, type(back)) == (value, type(value))


@every_codec
def test_what_was_set_is_told_from_what_was_not(codecs: Any) -> None:
    """`exclude_unset` means the same before and after."""
    back = again(codecs, Owner, OWNER)

    assert back.model_fields_set == OWNER.model_fields_set
    assert back.neighbour.model_fields_set == {"pets"}
    assert back.pets[0].model_fields_set == {"lives"}
    assert back.model_dump(exclude_unset=True) == OWNER.model_dump(exclude_unset=True)
    opened = Open.model_validate({"id": 1, "more": 2})
    assert again(codecs, Open, opened).model_fields_set == {"id", "more"}


@every_codec
def test_what_is_computed_is_computed_again(codecs: Any) -> None:
    """Computed fields and cached properties are no part of what is stored."""
    assert OWNER.first == "cat"
    back = again(codecs, Owner, OWNER)

    assert "first" not in back.__dict__
    assert (back.count, back.first) == (2, "cat")
    assert back.since.isoformat() == OWNER.since.isoformat()  # type: ignore[union-attr]


@every_codec
def test_private_attributes_are_kept_by_type(codecs: Any) -> None:
    """What a model knows beside its fields comes back, too; what cannot is an error, not a model without it."""
    counting = Counting(id=1)
    counting._seen = {date(2024, 5, 6)}
    counting._score = 7
    back = again(codecs, Counting, counting)

    assert (back._seen, back._score) == ({date(2024, 5, 6)}, 7)
    with pytest.raises(CodecError, match="a lock would not come back"):
        codecs.codec_for(Locked).encode(Locked())


@every_codec
def test_a_restored_model_is_one_of_its_class(codecs: Any) -> None:
    """A frozen model stays frozen, and pydantic takes a restored one for what it is."""
    back = again(codecs, list[Cat], [Cat()])[0]

    assert Cat.model_validate(back) is back
    with pytest.raises(pydantic.ValidationError):
        again(codecs, Owner, OWNER).pets = []


@every_codec
def test_a_subclass_is_not_stored_as_its_base(codecs: Any) -> None:
    """A field of the base would lose what the subclass adds: it is refused, by its place."""
    for kind, value in ((Dog, Puppy(name="Rex")), (list[Dog], [Puppy(name="Rex")])):
        with pytest.raises(CodecError, match="a Puppy comes back as a Dog"):
            codecs.codec_for(kind).encode(value)


@every_codec
def test_a_model_that_was_never_whole_is_refused(codecs: Any) -> None:
    """`model_construct` can leave fields out; what lacks them cannot be stored."""
    mistaken: dict[str, Any] = {"lives": "many"}
    with pytest.raises(CodecError):
        codecs.codec_for(Dog).encode(Dog.model_construct(**LITTLE))
    with pytest.raises(CodecError):
        codecs.codec_for(Cat).encode(Cat.model_construct(**mistaken))


@every_codec
def test_releases_meet(codecs: Any) -> None:
    """A field that an older release did not have has its default, unset; without a default the entry is a miss."""
    raw = codecs.codec_for(dict[str, Any]).encode({"pets": [], "gone": 1})
    back = codecs.codec_for(Owner).decode(raw)

    assert back == Owner(Pets=[])
    assert back.model_fields_set == {"pets"}
    with pytest.raises(CodecError):
        codecs.codec_for(Dog).decode(raw)
    with pytest.raises(CodecError):
        codecs.codec_for(Owner).decode(codecs.codec_for(dict[str, Any]).encode({"pets": [{"Bird": {}}]}))
    odd = {"name": "Rex", "$extra": {"a": 1}, "$private": {"_b": 2}, "$unset": ["kind", "gone"]}
    rex = codecs.codec_for(Dog).decode(
        msgspec.json.encode(odd) if codecs is CODECS[1] else msgspec.msgpack.encode(odd)
    )
    assert (rex, rex.__dict__) == (Dog(name="Rex"), {"name": "Rex", "kind": "dog"})


@every_codec
def test_secrets_are_not_stored(codecs: Any) -> None:
    """A cache server is no place for a secret: a model that holds one is refused at decoration."""

    class Login(BaseModel):
        password: pydantic.SecretStr

    with pytest.raises(ConfigurationError, match="a SecretStr is not written to a cache"):
        codecs.codec_for(Login)


def test_a_field_of_an_unknown_class_is_refused() -> None:
    """A class that nobody knows how to read is named at decoration."""

    class Socket:
        pass

    class Connected(BaseModel):
        model_config = ConfigDict(arbitrary_types_allowed=True)
        socket: Socket

    with pytest.raises(ConfigurationError, match="Socket"):
        MsgpackCodec(Connected)


def test_a_model_is_completed_when_it_is_first_needed() -> None:
    """A model whose annotations were not resolvable when it was defined is rebuilt."""

    class Early(BaseModel):
        later: Later | None = None

    class Later(BaseModel):
        id: int

    assert again(CODECS[0], Early, Early(later=Later(id=1))).later == Later(id=1)


def test_nothing_of_pydantic_is_loaded_for_others() -> None:
    """Compiling other types does not import pydantic."""
    program = (
        "import sys\nfrom dataclasses import dataclass\nfrom staleproof.codecs import MsgpackCodec\n"
        "@dataclass\nclass Item:\n    id: int\n    more: object = None\n"
        "MsgpackCodec(Item).encode(Item(1, {2}))\nassert 'pydantic' not in sys.modules"
    )
    ran = subprocess.run([sys.executable, "-I", "-c", program], capture_output=True, text=True, check=False)

    assert ran.returncode == 0, ran.stderr
