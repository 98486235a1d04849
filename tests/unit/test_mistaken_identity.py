"""One thing is never taken for another: copies, keys, tags, parameters and results, and what is refused for it."""

from __future__ import annotations

from hashlib import blake2b
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from staleproof import Cache, CodecError, ConfigurationError, NearCache, Policy, key
from staleproof.keys import MAX_KEY_BYTES, Template
from staleproof.providers.memory import MemoryProvider

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

BOUNDED = Policy(staleness="1m")


@pytest.fixture
def cache() -> Cache:
    """A cache whose near copies are served for a minute."""
    return Cache(MemoryProvider("x"), policy=BOUNDED)


class TestNearCopies:
    """A near copy answers the call that it was read by, and no other under the same key."""

    def test_not_under_other_tags(self, cache: Cache) -> None:
        """A copy under tag `a` knows nothing of tag `b`: a read that names `b` asks the server."""
        source = ["old"]
        cache.get_or_load("k", lambda: source[0], tags=["a"])
        source[0] = "new"
        cache.invalidate("b")
        assert cache.get_or_load("k", lambda: source[0], tags=["b"]) == "new"

    def test_not_as_another_kind(self, cache: Cache) -> None:
        """A copy of a text is no answer to a read of a number."""
        cache.get_or_load("k", lambda: "text", kind=str)
        assert cache.get_or_load("k", lambda: 5, kind=int) == 5

    def test_not_to_another_function(self, cache: Cache) -> None:
        """Two functions that share a template each get values of their own result type."""

        @cache.cacheable("same:{number}")
        def text(number: int) -> str:
            return f"n{number}"

        @cache.cacheable("same:{number}")
        def count(number: int) -> int:
            return number

        assert [(text(1), count(1)) for _ in range(3)] == [("n1", 1)] * 3

    def test_not_with_tags_that_the_key_does_not_tell(self, cache: Cache) -> None:
        """Where tags depend on more arguments than the key, a copy is served under its own tags only."""
        source = ["old"]

        @cache.cacheable("page:{number}", tags=["tenant:{tenant}"])
        def page(number: int, tenant: str) -> str:
            return source[0]

        page(1, "a")
        source[0] = "new"
        cache.invalidate("tenant:b")
        assert page(1, "b") == "new"

    def test_not_of_another_tenant(self) -> None:
        """One table may be handed to two namespaces by mistake of nobody: keys do not meet, near or far."""
        one, other = (Cache(MemoryProvider(name), policy=BOUNDED) for name in ("one", "other"))
        assert one.get_or_load("k", lambda: "one") == "one"
        assert other.get_or_load("k", lambda: "other") == "other"
        assert one.get_or_load("k", lambda: "late") == "one"


class TestKeys:
    """Two different calls never share a key."""

    @pytest.mark.parametrize("source", ["u-{a}-{b}", "u:{a}{b}", "{a}.{b}:{c}", "t:{a}:{b}x{c}"])
    def test_fields_that_touch_are_refused(self, source: str) -> None:
        """Only a ':' parts two fields, for it alone is escaped within them."""
        with pytest.raises(ConfigurationError, match="put a ':' between them"):
            Template(source)

    @pytest.mark.parametrize("source", ["u:{a}:{b}", "{a}:-:{b}", "{a}", "pre-{a}-post", "{a}:{b}:tail"])
    def test_fields_apart_are_welcome(self, source: str) -> None:
        """What is refused is the ambiguity, not the style."""
        one = Template(source).render({"a": "1", "b": "2:3"})
        assert one != Template(source).render({"a": "1:2", "b": "3"})

    @pytest.mark.parametrize("length", [MAX_KEY_BYTES + 1, 600, 4_000])
    def test_no_name_can_be_chosen_to_meet_a_digested_key(self, length: int) -> None:
        """A short name that spells out a long one's cut and digest still lies elsewhere."""
        keys = MemoryProvider("x").keys
        raw = (b"doc:" + b"s" * length)[:length]
        digest = blake2b(raw, digest_size=16).hexdigest().encode()
        crafted = (raw[: MAX_KEY_BYTES - 33] + b"~" + digest).decode()
        assert keys.entry(crafted) != keys.entry(raw.decode())
        assert keys.lease(crafted) != keys.lease(raw.decode())
        stored = keys.entry(raw.decode())
        inner = stored[stored.index(b"{") + 2 : -1].decode()
        assert keys.entry(inner) != stored

    @pytest.mark.parametrize("source", ["", "a\x00b", "a\nb:{x}", "\x7f", "a\u2028b", "a\ud800b"])
    def test_templates_are_plain_text(self, source: str) -> None:
        """Control characters, separators of lines and halves of surrogate pairs are refused when it is written."""
        with pytest.raises(ConfigurationError, match="control characters"):
            Template(source)

    def test_control_characters_in_values_are_escaped(self) -> None:
        """A NUL or newline in a value is as good as any character, and does not reach the key raw."""
        rendered = key("k:{a}", a="x\x00\ny")
        assert rendered == "k:x%00%0Ay"

    def test_control_characters_in_templates_are_refused_at_decoration(self, cache: Cache) -> None:
        """A tag template is checked as a key template is, and the error names the function."""
        with pytest.raises(ConfigurationError, match=r"_one.*control characters"):
            cache.cacheable("k:{number}", tags=["t\x00"])(_one)

    @pytest.mark.parametrize(
        "use", ["read", "tag", "invalidate tag", "invalidate key", "reveal", "put", "field"]
    )
    def test_lone_surrogates_are_a_configuration_error(self, cache: Cache, use: str) -> None:
        """Text that no encoding has a form for is refused by name wherever it enters, and leaves no lease."""
        bad = "a\ud800"
        uses: dict[str, Callable[[], Any]] = {
            "read": lambda: cache.get_or_load(bad, lambda: 1),
            "tag": lambda: cache.get_or_load("k", lambda: 1, tags=[bad]),
            "invalidate tag": lambda: cache.invalidate(bad),
            "invalidate key": lambda: cache.invalidate(keys=[bad]),
            "reveal": lambda: cache.get_or_load("k", lambda: 1, tags_from=lambda _: [bad]),
            "put": lambda: cache.put(bad, 1),
            "field": lambda: cache.cacheable("k:{number}")(_one)(bad),  # type: ignore[arg-type]
        }
        with pytest.raises(ConfigurationError, match="lone surrogate"):
            uses[use]()
        assert cache.get_or_load("k", lambda: 2) == 2


class TestParameters:
    """The compiled hit path and renderers take nothing from the function's own names."""

    def test_any_name_but_dunders(self, cache: Cache) -> None:
        """Parameters called as builtins, or as what the renderer uses, mean what the function means."""

        @cache.cacheable("i:{id}:{type}:{_text}:{user.id}", tags=["t:{int}"])
        def function(
            id: int,  # noqa: A002
            type: str = "x",  # noqa: A002
            _text: str = "y",
            int: str = "z",  # noqa: A002
            _attribute: str = "w",
            user: Any = SimpleNamespace(id=7),  # noqa: B008
        ) -> list[str]:
            return [str(id), type, _text, int, _attribute]

        assert function.key(1, "a:b") == "i:1:a%3Ab:y:7"
        assert function.tags(1, int="q") == ("t:q",)
        for _ in range(3):
            assert function(1, "a:b") == ["1", "a:b", "y", "z", "w"]

    def test_dunder_names_are_refused(self, cache: Cache) -> None:
        """A parameter that could hide what compiled code refers to is refused at decoration."""
        with pytest.raises(ConfigurationError, match=r"_hiding.*'__type' begins with '__'"):
            cache.cacheable("k:{__type}")(_hiding)

    def test_annotations_for_type_checkers_only(self, cache: Cache) -> None:
        """A parameter's type need not exist at run time."""

        @cache.cacheable("d:{amount}")
        def double(amount: Decimal) -> str:
            return str(2 * amount)

        assert double.key(3) == "d:3"  # type: ignore[arg-type]
        assert double(3) == double(3) == "6"  # type: ignore[arg-type]

    def test_a_result_annotated_for_type_checkers_only_is_refused(self, cache: Cache) -> None:
        """Without the result's type nothing could be read back: the error says where to import it."""

        def function(number: int) -> Decimal:
            raise NotImplementedError

        cached = cache.cacheable("k:{number}")(function)  # it may be defined further down: told at first use
        with pytest.raises(ConfigurationError, match="TYPE_CHECKING"):
            cached(1)

    def test_a_missing_attribute_is_named(self, cache: Cache) -> None:
        """An argument without the attribute that the template names is told so, decorated or not."""

        @cache.cacheable("u:{user.id}")
        def function(user: Any) -> int:
            return 1

        with pytest.raises(ConfigurationError, match="SimpleNamespace has no 'id'"):
            function(SimpleNamespace())
        with pytest.raises(ConfigurationError, match="no 'id'"):
            function({"name": "x"})
        with pytest.raises(ConfigurationError, match=r"no value for field 'user\.id'"):
            key("u:{user.id}", user=SimpleNamespace())
        assert function({"id": 3}) == 1


class TestInvalidations:
    """What is invalidated is what was meant."""

    @pytest.mark.parametrize(
        "do",
        [
            lambda cache: cache.invalidate(keys="flight:1"),
            lambda cache: cache.get_or_load("k", lambda: 1, tags="flight:1"),
            lambda cache: cache.get_or_load("k", lambda: 1, tags_from=lambda _: "brand:1"),
        ],
        ids=["keys", "tags", "tags_from"],
    )
    def test_one_text_for_a_list_is_refused(self, cache: Cache, do: Callable[[Cache], Any]) -> None:
        """A text is a sequence of texts to Python: taken for a list it would name single letters."""
        with pytest.raises(ConfigurationError, match="list"):
            do(cache)

    @pytest.mark.parametrize("bad", [7, None, b"brand:1", ("brand", 1)], ids=repr)
    def test_tags_and_keys_are_text(self, cache: Cache, bad: Any) -> None:
        """A tag or key of another type is refused by name, given or revealed."""
        for do in (
            lambda: cache.invalidate(bad),
            lambda: cache.invalidate("a", bad),
            lambda: cache.invalidate(keys=[bad]),
            lambda: cache.get_or_load("k", lambda: 1, tags_from=lambda _: [bad]),
        ):
            with pytest.raises(ConfigurationError, match=r"staleproof\.key|is a list; pass its texts"):
                do()

    @pytest.mark.parametrize("revealed", [7, None], ids=repr)
    def test_tags_from_returns_a_list(self, cache: Cache, revealed: Any) -> None:
        """Whatever cannot be iterated is no list of tags."""
        with pytest.raises(ConfigurationError, match="return a list of tags"):
            cache.get_or_load("k", lambda: 1, tags_from=lambda _: revealed)

    def test_too_long_keys_are_refused(self, cache: Cache) -> None:
        """A key that no journal record could carry is refused before anything is stored or acknowledged."""
        for do in (
            lambda: cache.get_or_load("k" * 4_097, lambda: 1),
            lambda: cache.get("k" * 4_097),
            lambda: cache.put("k" * 4_097, 1),
            lambda: cache.evict("k" * 4_097),
        ):
            with pytest.raises(ConfigurationError, match="4097 characters; the limit is 4096"):
                do()
        assert cache.get_or_load("k" * 4_096, lambda: 1) == 1

    @pytest.mark.parametrize("row", [-1, 2**63, 2**70, 1.0, "3", True], ids=repr)
    def test_row_versions_fit_the_entry(self, cache: Cache, row: Any) -> None:
        """A row version is an integer of 64 bits, where a load shows it and where an invalidation states it."""
        with pytest.raises(ConfigurationError, match="row_version"):
            cache.get_or_load("k", lambda: 1, row_version=lambda _: row)
        with pytest.raises(ConfigurationError, match="row_version"):
            cache.invalidate("t", row_version=row, lag=1)

    def test_the_largest_row_version_is_kept(self, cache: Cache) -> None:
        """The last number below the limit is a row version like any other."""
        cache.invalidate("t", row_version=2**63 - 1, lag="1m")
        loads = [
            cache.get_or_load("k", lambda: 1, tags=["t"], row_version=lambda _: 2**63 - 1) for _ in range(2)
        ]
        assert (loads, cache.statistics.loads) == ([1, 1], 1)


def _one(number: int) -> int:
    return 1


def _hiding(__type: int) -> int:  # noqa: PYI063 - outside of a class, where Python would mangle it
    return __type


@pytest.mark.parametrize("near", [NearCache(), False], ids=["near", "far"])
def test_a_result_that_is_not_what_it_says_is_an_error(near: NearCache | bool) -> None:
    """A value that could not be read back as its annotation is refused at the store, not missed at every read."""
    cache = Cache(MemoryProvider("x"), policy=BOUNDED, near=near)

    @cache.cacheable("k:{number}")
    def function(number: int) -> dict[str, int]:
        return {"a": "text"}  # type: ignore[dict-item]

    for _ in range(2):
        with pytest.raises(CodecError, match=r"a dict is no dict\[str, int\].*mend the annotation"):
            function(1)
