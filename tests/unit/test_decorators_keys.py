"""Decorated functions: what makes their keys, and what decides whether the cache is used."""

from __future__ import annotations

import functools
import inspect
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof import MISSING, Cache, ConfigurationError, Policy, key
from staleproof.codecs import JsonCodec
from staleproof.keys.fingerprint import Fingerprint, identity
from staleproof.providers.memory import MemoryProvider
from tests.unit.both_faces import Face

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BOUNDED = Policy(staleness=60)


@pytest.fixture(params=[False, True], ids=["blocking", "awaiting"])
def face(request: pytest.FixtureRequest) -> Face:
    """Both faces, with a near cache, so that the hit path is tested too."""
    return Face(awaited=request.param, policy=BOUNDED)


def spied(face: Face, **options: Any) -> tuple[Any, list[Any]]:
    """A cached function of an id and a note, and what it was called with."""
    calls: list[Any] = []

    def product(product_id: int, note: str = "", *, plan: str = "free") -> list[Any]:
        calls.append((product_id, note, plan))
        return [product_id, note, plan]

    return face.cache.cacheable(**options)(face.coloured(product)), calls


CALLS: list[Any] = []


def product(product_id: Any, note: Any = "", *, plan: str = "free") -> list[Any]:
    CALLS.append(product_id)
    return [product_id, note, plan]


def one(value: Any) -> str:
    CALLS.append(value)
    return repr(value)


def starred(*ids: int, **filters: str) -> int:
    return len(ids)


class TestKeyFunctions:
    """`key=` as a function of some of the parameters."""

    def test_it_takes_what_it_names(self, face: Face) -> None:
        """By name, in any order, with the function's defaults."""
        product, calls = spied(
            face, key=lambda plan, product_id: key("p:{plan}:{id}", plan=plan, id=product_id)
        )

        assert product.key(7) == product.key(7, "x") == "p:free:7"
        assert product.key(product_id=7, plan="a:b") == "p:a%3Ab:7"
        assert [face.do(product(7)), face.do(product(7, "other"))] == [[7, "", "free"]] * 2
        assert len(calls) == 1

    def test_it_may_take_everything(self, face: Face) -> None:
        """With stars it gets what the function gets."""
        one, _ = spied(face, key=lambda *args, **kwargs: f"{args}{kwargs}")
        named, _ = spied(face, key=lambda **kwargs: ",".join(f"{k}={v}" for k, v in kwargs.items()))

        assert one.key(7) == "(7, ''){'plan': 'free'}"
        assert named.key(7, plan="x") == "product_id=7,note=,plan=x"

    def test_another_parameter_is_refused(self, face: Face) -> None:
        """At decoration, with the function's name and what there is."""
        with pytest.raises(ConfigurationError, match=r"product: key takes 'wrong'.*product_id, note, plan"):
            spied(face, key=lambda wrong: wrong)
        defaulted, _ = spied(face, key=lambda product_id, wrong="x": f"{product_id}{wrong}")
        assert defaulted.key(1) == "1x"

    def test_it_returns_a_text(self, face: Face) -> None:
        """Anything else would be somebody's repr."""
        product, _ = spied(face, key=lambda product_id: product_id)
        with pytest.raises(ConfigurationError, match="key function returned 7"):
            product.key(7)

    def test_no_coroutine_functions(self, face: Face) -> None:
        """A key is needed before anything can be awaited."""

        async def later(product_id: int) -> str:
            return str(product_id)

        with pytest.raises(ConfigurationError, match="key is a coroutine function"):
            spied(face, key=later)

    @pytest.mark.parametrize("wrong", [5, b"k", ["k"]])
    def test_a_key_is_a_template_or_a_function(self, face: Face, wrong: Any) -> None:
        """Nothing else can be told apart."""
        with pytest.raises(ConfigurationError, match="product: key="):
            spied(face, key=wrong)

    def test_its_tags_are_not_taken_from_its_key(self, face: Face) -> None:
        """A key that leaves out what a tag names does not serve one tag's value under another."""
        product, calls = spied(face, key=lambda: "all", tags=["id:{product_id}"])
        assert face.do(product(1)) != face.do(product(2))
        face.do(face.cache.invalidate("id:2"))
        face.do(product(2))
        assert [call[0] for call in calls] == [1, 2, 2]


class TestDigests:
    """No key: the function's name, and a digest of all its arguments."""

    @pytest.fixture(autouse=True)
    def _forget(self) -> None:
        CALLS.clear()

    def test_equal_calls_share_a_key(self, face: Face) -> None:
        """However they are written; and no others."""
        cached = face.cache.cacheable()(face.coloured(product))
        assert cached.key(1) == cached.key(product_id=1) == cached.key(1, plan="free", note="")
        assert len({cached.key(each) for each in (1, "1", True, 1.0, None, [1], (1,), {1: 1})}) == 8
        for _ in range(2):
            assert face.do(cached(1, "a")) == face.do(cached(note="a", product_id=1))
        face.do(cached(1, "b"))
        assert len(CALLS) == 2

    def test_handles_work(self, face: Face) -> None:
        """Peek, invalidate and refresh find the entry by the same digest."""
        cached = face.cache.cacheable(tags=["id:{product_id}"])(face.coloured(product))
        face.do(cached(3))
        assert face.do(cached.peek(3)) == [3, "", "free"]
        face.do(cached.invalidate(product_id=3))
        assert face.do(cached.peek(3)) is MISSING
        face.do(cached.refresh(3))
        assert face.do(cached.peek(3)) == [3, "", "free"]
        assert len(CALLS) == 2

    def test_a_single_argument_is_remembered_by_its_exact_type(self, face: Face) -> None:
        """The hit path looks a key up by its argument: 1, "1" and True stay apart there, too."""
        cached = face.cache.cacheable()(face.coloured(one))
        for _ in range(3):
            assert [face.do(cached(each)) for each in (1, "1", True, 1.0)] == ["1", "'1'", "True", "1.0"]
        assert len(CALLS) == 4

    def test_an_argument_without_a_value_is_refused_by_name(self, face: Face) -> None:
        """The error names the function, the argument and the ways out."""
        cached = face.cache.cacheable()(face.coloured(product))
        with pytest.raises(
            ConfigurationError, match=r"product: argument 'note': a builtins\.object has no value"
        ):
            cached.key(1, object())

    def test_stars_count(self, face: Face) -> None:
        """Any number of arguments, and keywords in any order."""
        cached = face.cache.cacheable()(face.coloured(starred))
        assert cached.key(1, 2, a="x", b="y") == cached.key(1, 2, b="y", a="x")
        assert len({cached.key(), cached.key(1), cached.key(1, 2), cached.key(2, 1), cached.key(a="1")}) == 5


ARGUMENTS = st.dictionaries(
    st.sampled_from(["b", "c", "d"]), st.one_of(st.integers(0, 1), st.booleans(), st.sampled_from(["0", "1"]))
)


@given(one=ARGUMENTS, other=ARGUMENTS)
def test_a_digest_is_one_of_bound_arguments(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Two calls have one key if, and only if, their arguments are equal in value and type once defaults are in."""

    def function(b: Any = 0, *, c: Any = "1", d: Any = None) -> None:
        """Nothing."""

    cached = Cache(MemoryProvider("x")).cacheable()(function)
    bound = []
    for arguments in (one, other):
        whole = inspect.signature(function).bind(**arguments)
        whole.apply_defaults()
        bound.append([(name, type(value), value) for name, value in whole.arguments.items()])

    assert (cached.key(**one) == cached.key(**other)) == (bound[0] == bound[1])


class TestIdentity:
    """What a function is called in a key."""

    def test_two_functions_have_two_names(self) -> None:
        """Module and qualified name; a method's class is in it."""
        assert identity(spied) == f"{__name__}.spied"
        assert identity(Face.another) == "tests.unit.both_faces.Face.another"

    def test_parameters_that_swap_their_names_are_others(self) -> None:
        """A release that swaps two parameters does not read what the last one stored."""
        assert Fingerprint(spied, ("a", "b"))(1, 2) != Fingerprint(spied, ("b", "a"))(1, 2)

    def test_a_lambda_has_none(self, face: Face) -> None:
        """All of a module's would share it."""
        with pytest.raises(ConfigurationError, match="no name to make a key of"):
            Fingerprint(lambda: 1, ())

    def test_a_closure_is_refused(self) -> None:
        """What it closes over would be in no key: two of them would share their entries."""
        cache = Cache(MemoryProvider("x"))

        def make(tenant: str) -> Any:
            def load(number: int) -> str:
                return f"{tenant}{number}"

            return cache.cacheable()(load)

        with pytest.raises(ConfigurationError, match=r"load: it depends on 'tenant'.*pass it as an argument"):
            make("a")

    def test_programs_are_called_as_their_module(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """`__main__` is another module in every program: the name others import it by is in the key."""
        program: Any = type("Program", (), {"__module__": "__main__", "__qualname__": "load"})
        main = sys.modules["__main__"]
        monkeypatch.setattr(main, "__spec__", None)
        monkeypatch.setattr(main, "__file__", "/srv/jobs/nightly.py", raising=False)
        assert identity(program) == "nightly.load"
        monkeypatch.setattr(main, "__spec__", type("Spec", (), {"name": "jobs.__main__"}))
        assert identity(program) == "jobs.load"


class TestWhen:
    """`when=`: calls that pass the cache by."""

    @pytest.mark.parametrize("policy", [BOUNDED, Policy()], ids=["near", "far"])
    def test_calls_it_refuses_go_to_the_function(self, face: Face, policy: Policy) -> None:
        """They neither read nor write; the others are cached."""
        product, calls = spied(
            face, key="p:{product_id}", policy=policy, when=lambda product_id: product_id > 0
        )
        for _ in range(2):
            face.do(product(0))
            face.do(product(1))
        assert [call[0] for call in calls] == [0, 1, 0]
        assert face.do(product.peek(0)) is MISSING

    def test_it_names_parameters(self, face: Face) -> None:
        """Others are refused at decoration."""
        with pytest.raises(ConfigurationError, match="product: when takes 'x'"):
            spied(face, key="p:{product_id}", when=lambda x: x)


class TestUnless:
    """`unless=`: results that are served and not stored."""

    def test_results_it_names_are_served_and_not_stored(self, face: Face) -> None:
        """Near or far; `None` is a value unless it says otherwise."""
        calls = []

        def find(number: int) -> int | None:
            calls.append(number)
            return number or None

        cached = face.cache.cacheable("n:{number}", unless=lambda found: found is None)(face.coloured(find))
        plain = face.cache.cacheable("m:{number}")(face.coloured(find))
        for _ in range(2):
            assert [face.do(cached(0)), face.do(cached(1))] == [None, 1]
        assert calls == [0, 1, 0]
        assert [face.do(plain(0)), face.do(plain(0))] == [None, None]
        assert len(calls) == 4


class TestPolicies:
    """`policy=`: an object, or a name that the settings may give another meaning."""

    def test_a_named_policy_is_followed(self) -> None:
        """Also by the compiled hit path, whose bound changes in place."""
        face = Face(awaited=False, policies={"hot": Policy(ttl=100, staleness=60)})
        product, calls = spied(face, key="p:{product_id}", policy="hot")
        for _ in range(2):
            product(1)
        assert (len(calls), face.cache.statistics.near_hits) == (1, 1)

        elsewhere = Cache(face.cache.provider, clock=face.clock)
        elsewhere.invalidate(keys=["p:1"])
        product(1)
        assert len(calls) == 1  # within its bound
        face.cache.adopt(policies={"hot": Policy(ttl=100, staleness=0)})
        product(1)
        assert len(calls) == 2  # strict from now on
        face.cache.adopt(policies={"hot": Policy(ttl=5, staleness=None)})
        near = face.cache.statistics.near_hits
        for _ in range(2):
            product(2)
        face.clock.advance(6)
        product(2)
        assert (len(calls), face.cache.statistics.near_hits) == (4, near)

    def test_the_caches_own_policy_is_followed(self) -> None:
        """A function that names none takes whatever the cache has now; one with its own keeps it."""
        face = Face(awaited=False, policy=Policy(staleness=None))
        product, _ = spied(face, key="p:{product_id}")
        fixed, _ = spied(face, key="f:{product_id}", policy=Policy(staleness=None))
        for function in (product, fixed, product, fixed):
            function(1)
        assert face.cache.statistics.near_hits == 0
        face.cache.adopt(policy=Policy(staleness=60))
        for _ in range(3):
            for function in (product, fixed):
                function(1)
        assert face.cache.statistics.near_hits == 2

    def test_an_unknown_policy_is_refused_at_decoration(self, face: Face) -> None:
        """With the function's name and the policies that there are."""
        with pytest.raises(ConfigurationError, match="product: no policy is called 'hott'"):
            spied(face, key="p:{product_id}", policy="hott")


class TestElsewhere:
    """Other providers and codecs."""

    def test_another_provider_by_name(self) -> None:
        """The function's results live there, and its handles work there."""
        for awaited in (False, True):
            face = Face(awaited=awaited)
            face.cache = face.another("main", providers={"side": face.provider("side")})
            product, calls = spied(face, key="p:{product_id}", provider="side")
            for _ in range(2):
                face.do(product(1))
            assert len(calls) == 1
            assert face.do(face.cache.get("p:1")) is MISSING
            assert face.do(face.cache.on("side").get("p:1")) == [1, "", "free"]
            face.do(product.invalidate(1))
            assert face.do(product.peek(1)) is MISSING
            with pytest.raises(ConfigurationError, match="no provider is called 'nowhere'"):
                spied(face, key="p:{product_id}", provider="nowhere")

    def test_another_codec(self, face: Face) -> None:
        """Results are written by it."""

        @dataclass
        class Row:
            number: int

        def row(number: int) -> Row:
            return Row(number)

        written = face.cache.cacheable("r:{number}", codec=JsonCodec())(face.coloured(row))
        assert face.do(written(1)) == Row(1)
        assert face.do(written.peek(1)) == Row(1)
        assert face.do(face.cache.get("r:1", kind=Row)) is MISSING  # as msgpack it is unreadable


class TestParameterKinds:
    """The wrapper takes exactly what the function takes."""

    def test_positional_only_keyword_only_and_stars(self, face: Face) -> None:
        """Bound as Python binds them, by the same errors."""

        def function(a: int, /, b: int = 2, *more: int, c: int, d: int = 4, **rest: int) -> list[Any]:
            return [a, b, list(more), c, d, rest]

        cached = face.cache.cacheable("f:{a}:{b}:{c}:{d}")(face.coloured(function))
        assert face.do(cached(1, c=3)) == [1, 2, [], 3, 4, {}]
        assert face.do(cached(1, 5, 6, c=7, a=8)) == [1, 5, [6], 7, 4, {"a": 8}]
        assert cached.key(1, c=3) == cached.key(1, b=2, d=4, c=3) == "f:1:2:3:4"
        for take, args in ((cached, [1]), (cached, []), (cached.key, [])):
            with pytest.raises(TypeError):
                face.do(take(*args))

    def test_a_star_is_no_field(self, face: Face) -> None:
        """It has no one text."""

        def function(*ids: int) -> int:
            return 1

        with pytest.raises(ConfigurationError, match="takes any number of values"):
            face.cache.cacheable("f:{ids}")(face.coloured(function))

    @pytest.mark.parametrize("wrong", [5, "text", None])
    def test_only_functions_are_decorated(self, face: Face, wrong: Any) -> None:
        """`@cache.cacheable` without parentheses makes a decorator of the function, and says so at its first call."""
        with pytest.raises(ConfigurationError, match="is no function; put the decorator on one"):
            face.cache.cacheable("k")(wrong)

    def test_generators_are_refused(self, face: Face) -> None:
        """What is iterated once cannot be served twice."""

        def counts() -> Iterator[int]:
            yield 1

        async def later() -> AsyncIterator[int]:
            yield 1

        for function in (counts, later):
            with pytest.raises(ConfigurationError, match="generator function; return a list"):
                face.cache.cacheable("k")(function)


class Client:
    """Something whose bound methods are decorated."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __cache_key__(self) -> str:
        return self.name

    def fetch(self, number: int) -> str:
        return f"{self.name} {number}"

    def __call__(self, number: int) -> str:
        return self.fetch(number)


class TestOtherCallables:
    """What is called like a function is decorated like one, and told apart."""

    def test_bound_methods(self, face: Face) -> None:
        """Two objects' methods have one name: a digest takes the object by its value, or refuses it."""
        one, other = (face.cache.cacheable()(face.coloured(Client(name).fetch)) for name in ("one", "other"))
        assert one.key(1) != other.key(1)
        assert [face.do(one(1)), face.do(other(1)), face.do(one(1))] == ["one 1", "other 1", "one 1"]
        assert inspect.isfunction(one)

        class Bare:
            def fetch(self, number: int) -> int:
                return number

        with pytest.raises(ConfigurationError, match="Bare has no value"):
            face.cache.cacheable()(face.coloured(Bare().fetch))
        assert face.do(face.cache.cacheable("b:{number}")(face.coloured(Bare().fetch))(1)) == 1

    def test_partials_and_objects(self) -> None:
        """They have no name of their own, so a template makes their key."""
        cache = Cache(MemoryProvider("x"))
        shifted: Any = functools.partial(product, note="x")
        for called, expected in ((shifted, [1, "x", "free"]), (Client("c"), "c 1")):
            with pytest.raises(ConfigurationError, match="no name to make a key of"):
                cache.cacheable()(called)
            first = next(iter(inspect.signature(called).parameters))
            cached = cache.cacheable(f"{expected}:{{{first}}}")(called)
            assert cached(1) == cached(1) == expected
        assert cache.statistics.loads == 2

    def test_classes_are_refused(self, face: Face) -> None:
        """A class does not say what it returns."""
        with pytest.raises(ConfigurationError, match="Client is a class; decorate a function"):
            face.cache.cacheable("c:{name}")(Client)

    def test_colours_are_seen_through(self) -> None:
        """An object whose call is a coroutine function is one for the asyncio face."""

        class Later:
            async def __call__(self, number: int) -> int:
                return number

        with pytest.raises(ConfigurationError, match="decorate it with an AsyncCache"):
            Cache(MemoryProvider("x")).cacheable("l:{number}")(Later())
