"""Signed pickles: nothing is unpickled that was not signed by one of the keys, here, as a pickle."""

from __future__ import annotations

import hashlib
import hmac
import pickle
import threading
from decimal import Decimal
from typing import Any, TypedDict

import pytest

from staleproof import CodecError, ConfigurationError
from staleproof.codecs import SignedPickleCodec

KEY, NEW_KEY = bytes(range(32)), bytes(range(32, 72))
RAN: list[str] = []


class Hostile:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return RAN.append, ("ran",)


class Anything:
    """No codec by type reads this one."""

    def __init__(self, value: object) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Anything) and self.value == other.value

    def __hash__(self) -> int:
        return 1


class Row(TypedDict):
    id: int


@pytest.mark.parametrize(
    "value", [Anything({1: [Decimal(1)]}), None, [1, (2,)], "é"], ids=["class", "none", "list", "text"]
)
def test_anything_comes_back(value: Any) -> None:
    """Whatever pickle carries is read back."""
    codec = SignedPickleCodec(KEY)

    assert codec.decode(memoryview(codec.encode(value))) == value
    assert codec.codec_id == 2


def signed(key: bytes, pickled: bytes) -> bytes:
    """A signature as somebody would make it who knows the key, and not what else is signed."""
    return hmac.new(key, pickled, hashlib.sha256).digest() + pickled


@pytest.mark.parametrize(
    "payload",
    [
        pickle.dumps(Hostile()),
        bytes(32) + pickle.dumps(Hostile()),
        signed(NEW_KEY, pickle.dumps(Hostile())),
        signed(KEY, pickle.dumps(Hostile())),
        SignedPickleCodec(NEW_KEY).encode(1)[:32] + pickle.dumps(Hostile()),
        b"",
        b"short",
    ],
    ids=["plain", "zeros", "another key", "without context", "another's signature", "empty", "short"],
)
def test_nothing_unsigned_is_unpickled(payload: bytes) -> None:
    """A forged value is refused before a byte of it is interpreted."""
    RAN.clear()

    with pytest.raises(CodecError, match="no valid signature"):
        SignedPickleCodec(KEY).decode(payload)
    assert RAN == []


def test_a_signature_holds_in_its_context_only() -> None:
    """What was signed for one namespace is nothing in another, however their names run into what follows."""
    raw = SignedPickleCodec[Any](KEY, context=b"shop").encode([1])

    assert SignedPickleCodec[Any](KEY, context=b"shop").codec_for(list).decode(raw) == [1]
    for context in (b"", b"sho", b"shop2"):
        with pytest.raises(CodecError, match="no valid signature"):
            SignedPickleCodec[Any](KEY, context=context).decode(raw)


def test_keys_are_rotated() -> None:
    """During a rotation the first key signs and all verify; afterwards the old one is worth nothing."""
    old, both, new = (
        SignedPickleCodec(KEY),
        SignedPickleCodec[Any]([NEW_KEY, KEY]),
        SignedPickleCodec(NEW_KEY),
    )

    assert both.decode(old.encode(1)) == 1
    assert new.decode(both.encode(2)) == 2
    with pytest.raises(CodecError):
        new.decode(old.encode(1))


@pytest.mark.parametrize(
    ("key", "says"),
    [
        (b"x" * 31, "31 bytes was given; it takes 32"),
        ("x" * 32, "a str is no bytes"),
        ([], "0 keys were given"),
        ([KEY, b"short"], "5 bytes"),
        ([KEY] * 9, "9 keys were given"),
    ],
    ids=["short", "text", "none", "one short", "many"],
)
def test_weak_keys_are_refused(key: Any, says: str) -> None:
    """A key is 32 bytes or more; the error says how to make one, and shows none."""
    with pytest.raises(ConfigurationError, match=says) as refused:
        SignedPickleCodec(key)

    assert "xxx" not in str(refused.value)


def test_keys_are_not_shown() -> None:
    """Neither `repr` nor pickling lets a key out."""
    codec = SignedPickleCodec[Any](KEY, Anything, context=b"shop")

    assert repr(codec) == f"SignedPickleCodec(1 keys, kind={Anything!r})"
    with pytest.raises(TypeError, match="holds keys"):
        pickle.dumps(codec)


def test_the_declared_type_is_checked() -> None:
    """A signed value of another class is refused, written or read; of what cannot be checked the signature must do."""
    numbers, texts = SignedPickleCodec[Any](KEY, list[int]), SignedPickleCodec[Any](KEY, str)

    with pytest.raises(CodecError, match="declared as <class 'str'>"):
        texts.encode([1])
    with pytest.raises(CodecError, match="not a <class 'str'>"):
        texts.decode(numbers.encode([1]))
    assert SignedPickleCodec[Any](KEY, Row).decode(SignedPickleCodec[Any](KEY, Row).encode({"id": 1})) == {
        "id": 1
    }
    assert SignedPickleCodec[Any](KEY, int | None).decode(SignedPickleCodec(KEY).encode(None)) is None


def test_what_cannot_be_pickled_or_read_back_is_refused() -> None:
    """Both are errors at the store, not misses at every read."""

    class Sly:
        def __reduce__(self) -> tuple[Any, ...]:
            return dict, ()

    class Gone:
        pass

    codec = SignedPickleCodec(KEY)
    with pytest.raises(CodecError, match="a lock cannot be pickled: TypeError"):
        codec.encode(threading.Lock())
    with pytest.raises(CodecError, match=r"a .*Sly comes back as a dict"):
        codec.encode(Sly())
    with pytest.raises(CodecError, match="cannot be pickled"):
        codec.encode(Gone())


def test_what_a_release_no_longer_has_is_a_miss(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value of a class that is gone is a `CodecError`."""
    codec = SignedPickleCodec(KEY)
    raw = codec.encode(Anything(1))

    monkeypatch.delattr(f"{__name__}.Anything")
    with pytest.raises(CodecError, match="AttributeError"):
        codec.decode(raw)
