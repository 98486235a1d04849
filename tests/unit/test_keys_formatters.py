"""Formatters and ambient fields: what reaches a key on its way, and what must not get past."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof import Cache, ConfigurationError, Policy, ambient, formatter, key
from staleproof.keys import Template
from staleproof.providers.memory import MemoryProvider


class Size(Enum):
    LARGE = "L"


@dataclass
class Box:
    width: int
    tags: list[str]


EAST = timezone(timedelta(hours=5))


@pytest.mark.parametrize(
    ("source", "value", "expected"),
    [
        ("{x:lower}", "AbC", "abc"),
        ("{x:upper}", UUID(int=10), "00000000-0000-0000-0000-00000000000A"),
        ("{x:lower}", Size.LARGE, "l"),
        ("{x:strip}", " a b ", "a%20b"),
        ("{x:trim}", "\ta\n", "a"),
        ("{x:strip|lower}", " A:B ", "a%3Ab"),
        ("{x:int}", "007", "7"),
        ("{x:int}", 7.0, "7"),
        ("{x:int}", Decimal("7E1"), "70"),
        ("{x:date}", datetime(2013, 2, 8, 12, tzinfo=UTC), "2013-02-08"),
        ("{x:date}", datetime(2013, 2, 8, 2, tzinfo=EAST), "2013-02-07"),
        ("{x:date}", datetime(2013, 2, 8, 23, 59), "2013-02-08"),  # noqa: DTZ001
        ("{x:date}", "2013-02-08T02:00:00+05:00", "2013-02-07"),
        ("{x:date}", date(2013, 2, 8), "2013-02-08"),
        ("{x:sha256}", "body", hashlib.sha256(b"body").hexdigest()),
        ("{x:sha256}", b"\x00", hashlib.sha256(b"\x00").hexdigest()),
        ("{x:lower}", None, "%none"),
        ("{x:sha256}", None, "%none"),
        ("{x.width:int}", Box(3, []), "3"),
    ],
)
def test_a_field_goes_through_its_formatters(source: str, value: Any, expected: str) -> None:
    """From left to right, then it is escaped; None goes through none of them."""
    assert key(source, x=value) == expected


@pytest.mark.parametrize(
    ("source", "value"),
    [
        ("{x:int}", "7.5"),
        ("{x:int}", 7.5),
        ("{x:int}", b"12"),
        ("{x:int}", float("nan")),
        ("{x:int}", "9" * 5_000),
        ("{x:int}", Decimal("1E+999999")),
        ("{x:date}", "yesterday"),
        ("{x:date}", 5),
        ("{x:lower}", ["a"]),
        ("{x:hash}", object()),
        ("{x}", -(10**401)),
    ],
    ids=lambda value: type(value).__name__ if type(value) is object else repr(value),
)
def test_a_formatter_refuses_what_it_cannot_take(source: str, value: Any) -> None:
    """By an error of configuration that shows the value, never by a key of something else."""
    with pytest.raises(ConfigurationError):
        key(source, x=value)


def test_hash_is_short_and_takes_what_has_no_text() -> None:
    """Texts by their text, as fields render; everything else by its canonical bytes, which meet no text."""
    assert len(key("{x:hash}", x="a" * 10_000)) == 32
    assert key("{x:hash}", x=1) == key("{x:hash}", x="1")
    assert key("{x:hash}", x=[1]) != key("{x:hash}", x=["1"]) != key("{x:hash}", x=("1",))
    assert key("{x:hash}", x={"a": 1, "b": 2}) == key("{x:hash}", x={"b": 2, "a": 1})
    assert key("{x:hash}", x=Box(1, ["a"])) != key("{x:hash}", x=Box(1, ["b"]))


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("{x:lowr}", "no formatter 'lowr'; did you mean 'lower'"),
        ("{x:}", "no formatter ''"),
        ("{x:lower|}", "no formatter ''"),
        ("{x:.2f}", "no formatter '.2f'"),
        ("{x:slot|lower}", "no formatter 'slot'"),
        ("{@}", "is not a name"),
        ("{@1}", "is not a name"),
        ("{a:slot}:{b:slot}", "one slot"),
    ],
)
def test_a_bad_chain_is_refused_when_it_is_written(source: str, message: str) -> None:
    """The message names the template and, where it can, what was meant."""
    with pytest.raises(ConfigurationError, match=message) as refused:
        Template(source)
    assert repr(source) in str(refused.value)


def test_a_slot_ends_its_chain() -> None:
    """Other formatters come before it, and escapes keep the braces its own."""
    assert key("t:{x:lower|slot}:{y}", x="A{", y="}") == "t:{a%7B}:%7D"


TEXTS = st.text(max_size=8)


@given(left=st.tuples(TEXTS, TEXTS), right=st.tuples(TEXTS, TEXTS))
def test_formatted_fields_cannot_imitate_each_other(left: tuple[str, str], right: tuple[str, str]) -> None:
    """Two calls share a key if, and only if, their formatted values agree field by field."""
    first, second = (key("a:{x:strip}:{y:slot}", x=x, y=y) for x, y in (left, right))
    assert (first == second) == ((left[0].strip(), left[1]) == (right[0].strip(), right[1]))


class TestOwnFormatters:
    """Applications add their own, once."""

    def test_it_is_used_and_escaped(self) -> None:
        """What it returns is a value like any other."""

        @formatter("slug_of_test")
        def slug(value: str) -> str:
            return value.replace(" ", ":")

        assert key("{x:slug_of_test}", x="a b") == "a%3Ab"
        assert key("{x:slug_of_test|upper}", x="a b") == "A%3AB"
        assert slug("a b") == "a:b"

    @pytest.mark.parametrize("name", ["lower", "slot", "sha256"])
    def test_a_taken_name_is_refused(self, name: str) -> None:
        """A formatter that changed under a template would change its keys."""
        with pytest.raises(ConfigurationError, match="taken"):
            formatter(name)(str)
        assert key("{x:lower}", x="A") == "a"

    @pytest.mark.parametrize("name", ["", "Slug", "a-b", "1a", "a|b"])
    def test_a_name_is_a_word(self, name: str) -> None:
        """Nothing that a chain could not name."""
        with pytest.raises(ConfigurationError, match="lower-case word"):
            formatter(name)

    def test_what_it_returns_must_have_a_text(self) -> None:
        """A list from a formatter is refused as one from a caller is."""
        formatter("listed_by_test")(lambda value: [value])
        with pytest.raises(ConfigurationError, match="made of list"):
            key("{x:listed_by_test}", x=1)


class TestAmbient:
    """Fields that the context gives."""

    def test_blocks_nest(self) -> None:
        """The inner value holds within, the outer one again behind it, whatever happens between."""
        with ambient(tenant="acme", plan={"name": "pro"}):
            assert key("{@tenant}:{@plan.name:upper}:{id}", id=1) == "acme:PRO:1"
            with pytest.raises(KeyError), ambient(tenant="b:c"):
                self._fail_as("b%3Ac:pro")
            assert key("{@tenant}") == "acme"

    @staticmethod
    def _fail_as(expected: str) -> None:
        assert key("{@tenant}:{@plan.name}") == expected
        raise KeyError

    def test_a_missing_value_is_an_error_that_names_it(self) -> None:
        """A key without its tenant would be every tenant's."""
        with (
            ambient(region="x"),
            pytest.raises(ConfigurationError, match=r"\{@tenant\}.*with ambient\(tenant=") as it,
        ):
            key("{@tenant}")
        assert "set now: region" in str(it.value)

    def test_arguments_and_context_are_apart(self) -> None:
        """A parameter of the same name is another field."""
        with ambient(tenant="theirs"):
            assert key("{tenant}:{@tenant}", tenant="mine") == "mine:theirs"

    def test_tasks_and_contexts_inherit(self) -> None:
        """A task, and a thread that is given the context, see the values; a bare thread sees none."""
        seen: list[Any] = []

        def look() -> None:
            try:
                seen.append(key("{@tenant}"))
            except ConfigurationError as error:
                seen.append(type(error))

        async def main() -> None:
            await asyncio.gather(asyncio.to_thread(look), asyncio.create_task(asyncio.sleep(0)))

        with ambient(tenant="acme"):
            asyncio.run(main())
            context = copy_context()
        for target in (look, lambda: context.run(look)):
            thread = threading.Thread(target=target)
            thread.start()
            thread.join()
        assert seen == ["acme", ConfigurationError, "acme"]

    def test_decorated_functions_use_it(self) -> None:
        """Two tenants never meet, near copies included, though the arguments are the same."""
        cache = Cache(MemoryProvider("shop"), policy=Policy(staleness=60))

        @cache.cacheable("price:{@tenant}:{product}", tags=["tenant:{@tenant}"])
        def price(product: int) -> str:
            return f"{key('{@tenant}')} {product}"

        for _ in range(2):
            for tenant in ("a", "b"):
                with ambient(tenant=tenant):
                    assert price(1) == f"{tenant} 1"
        assert cache.statistics.loads == 2
        with pytest.raises(ConfigurationError, match="ambient"):
            price(1)

    def test_a_tag_of_another_context_is_not_taken_for_ours(self) -> None:
        """Where only a tag is ambient, the key alone does not say which tags an entry must have."""
        cache = Cache(MemoryProvider("shop"), policy=Policy(staleness=60))

        @cache.cacheable("n:{n}", tags=["tenant:{@tenant}"])
        def load(n: int) -> int:
            return n

        for tenant in ("a", "b", "b"):
            with ambient(tenant=tenant):
                load(1)
        assert cache.statistics.loads == 2


def test_a_tag_that_tells_more_than_the_key_is_not_taken_from_it() -> None:
    """`{email}` in a tag does not follow from `{email:lower}` in the key: each spelling loads for itself."""
    cache = Cache(MemoryProvider("shop"), policy=Policy(staleness=60))

    @cache.cacheable("user:{email:lower}", tags=["mail:{email}"])
    def user(email: str) -> str:
        return email

    assert user.key("A@x") == user.key("a@x") == "user:a@x"
    assert user("A@x") == "A@x"
    assert user("a@x") == "a@x"
    cache.invalidate("mail:A@x")
    assert user("a@x") == "a@x"
    assert cache.statistics.loads == 2


def test_a_formatted_key_is_served_by_the_hit_path() -> None:
    """One load serves every spelling, with no round trip within the bound."""
    cache = Cache(MemoryProvider("shop"), policy=Policy(staleness=60))

    @cache.cacheable("user:{email:strip|lower}", tags=["users"])
    def user(email: str) -> str:
        return email

    assert [user(each) for each in ("A@x", "a@x", " a@X ")] == ["A@x"] * 3
    assert (cache.statistics.loads, cache.statistics.near_hits) == (1, 2)


@pytest.mark.parametrize("moment", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-12:00"])
def test_a_day_that_no_calendar_has_in_utc_is_refused(moment: str) -> None:
    """It is told like any other value that is no day."""
    with pytest.raises(ConfigurationError, match="cannot be made of"):
        key("{x:date}", x=moment)
