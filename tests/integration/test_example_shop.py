"""The shop example does what its lines say, in the process and against a real server."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest

from examples.shop.__main__ import Day, TooCheapError, basket
from staleproof import Cache, ConfigurationError, ambient
from staleproof.providers.memory import MemoryProvider
from staleproof.providers.redis import RedisProvider
from tests.architecture.tree import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(params=["memory", pytest.param("redis", marks=pytest.mark.redis)])
def day(request: pytest.FixtureRequest, fresh_namespace: str) -> Iterator[Day]:
    if request.param == "memory":
        cache = Cache(MemoryProvider(fresh_namespace))
    else:
        url = request.getfixturevalue("valkey_url")
        cache = Cache(RedisProvider.from_url(url, namespace=fresh_namespace))
    with cache:
        yield Day(cache, tell=lambda _: None)


def test_the_command_tells_the_whole_day() -> None:
    """`python -m examples.shop` ends well, tells every step, and asks the database as often as it says."""
    done = subprocess.run(
        [sys.executable, "-m", "examples.shop"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    lines = done.stdout.splitlines()

    assert sum(int(line.split()[0]) for line in lines if " queries  " in line) <= 15
    assert "0 queries  the same page, otherwise spelled: ['pen 2.50', 'ink 9.00', 'lamp 49.00']" in lines
    assert "0 queries  a rollback changes nothing: ['pen 2.75', 'ink 9.00', 'lamp 49.00']" in lines
    assert "0 queries  a moment later: 25" in lines
    assert lines[-2] == "2 lists    sent by the supplier so far: {'pen': 130, 'ink': 480}"


def test_one_by_one_and_many_share_entries(day: Day) -> None:
    """A basket asks only for the products that nobody has looked at."""
    with ambient(tenant="acme"):
        day.catalogue.product(1)
        before = day.database.asked

        assert [each.name for each in basket(day.catalogue, 1, 2)] == ["pen", "ink"]
        assert [each.name for each in basket(day.catalogue, 1, 2)] == ["pen", "ink"]
        assert day.database.asked == before + 1


def test_a_page_depends_on_the_products_in_it(day: Day) -> None:
    """A page is new after any of its products changed, though no template names them; other pages stay."""
    with ambient(tenant="acme"):
        day.catalogue.page("desk")
        day.catalogue.reprice(3, 5_000)

        assert day.catalogue.page("desk")[-1] == "lamp 50.00"
    with ambient(tenant="globex"):
        day.catalogue.page("yard")
    with ambient(tenant="acme"):
        day.catalogue.reprice(1, 1)
    with ambient(tenant="globex"):
        assert day.catalogue.page.peek("yard") == ["rocket 9999.00"]


def test_tenants_never_meet(day: Day) -> None:
    """The same id of another tenant is another product, and without a tenant nothing is answered."""
    with ambient(tenant="acme"):
        pen = day.catalogue.product(1)
    with ambient(tenant="globex"):
        rocket = day.catalogue.product(1)

    assert pen is not None
    assert rocket is not None
    assert (pen.name, rocket.name) == ("pen", "rocket")
    with pytest.raises(ConfigurationError, match="tenant"):
        day.catalogue.product(1)


def test_a_price_waits_for_its_commit(day: Day) -> None:
    """Until the commit everybody sees the old price, afterwards nobody; a rollback changes neither."""
    with ambient(tenant="acme"):
        day.catalogue.product(1)
        with suppress(TooCheapError), day.cache.transaction(), day.database.transaction():
            day.catalogue.reprice(1, 1)
            raise TooCheapError
        assert day.catalogue.product.peek(1)

        with day.cache.transaction(), day.database.transaction():
            day.catalogue.reprice(1, 300)
            assert day.catalogue.product.peek(1)
        found = day.catalogue.product(1)

        assert found is not None
        assert found.cents == 300


def test_a_list_that_has_not_changed_is_not_sent_again(day: Day) -> None:
    """The supplier sends its list once an edition, however often it is asked."""
    for _ in range(3):
        day.catalogue.ask_again()
        assert day.catalogue.supplies().prices["pen"] == 120
    assert day.supplier.sent == 1

    day.supplier.publish(pen=130)
    day.catalogue.ask_again()
    assert day.catalogue.supplies().prices["pen"] == 130
    assert day.supplier.sent == 2
