"""A day in the shop: `python -m examples.shop`, or with `STALEPROOF_CACHE_URL=redis://...` against a server.

Each line tells what was done and how many queries the database saw for it.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from examples.shop.catalogue import CACHE, Catalogue
from examples.shop.database import Database
from examples.shop.supplier import Supplier
from staleproof import Cache, ambient

if TYPE_CHECKING:
    from collections.abc import Callable

PATIENCE = 5.0


class TooCheapError(Exception):
    """Nobody sells at that price."""


class Day:
    """One shop, and what is told of it.

    Args:
        cache: where results are kept.
        tell: takes each line.
    """

    def __init__(self, cache: Cache, tell: Callable[[str], object] = print) -> None:
        self.cache = cache.register(CACHE, replace=True)
        self.database = Database()
        self.supplier = Supplier()
        self.catalogue = Catalogue(self.database, self.supplier)
        self._tell = tell

    def show(self, what: str, work: Callable[[], Any]) -> Any:
        """Do *work*, and tell what it returned and how many queries it took."""
        before = self.database.asked
        found = work()
        self._tell(f"{self.database.asked - before} queries  {what}: {found}")
        return found

    def browse(self) -> None:
        """Read the same things more than once."""
        shop = self.catalogue
        self.show("a page", lambda: shop.page("Desk"))
        self.show("the same page, otherwise spelled", lambda: shop.page("DESK"))
        self.show("a product", lambda: shop.product(1))
        self.show("a basket with it and two more", lambda: [each.name for each in basket(shop, 1, 2, 3)])
        self.show("what is not there", lambda: (shop.product(99), shop.product(99)))

    def change(self) -> None:
        """Change prices: in a transaction that commits, and in one that does not."""
        shop = self.catalogue
        with self.cache.transaction(), self.database.transaction():
            shop.reprice(1, 275)
            self.show("inside the transaction the page still stands", lambda: shop.page("desk"))
        self.show("after the commit it is new", lambda: shop.page("desk"))
        with suppress(TooCheapError), self.cache.transaction(), self.database.transaction():
            shop.reprice(1, 1)
            raise TooCheapError
        self.show("a rollback changes nothing", lambda: shop.page("desk"))
        self.show("a new product", lambda: shop.add("chair", "Desk", 12_000))
        self.show("it is there already", lambda: shop.product(4))
        self.show("and on its page", lambda: shop.page("desk")[-1])

    def sell(self) -> None:
        """Sell: the old number is served at once, and a new one is loaded meanwhile."""
        shop = self.catalogue
        self.show("in stock", lambda: shop.stock(1))
        shop.sell(1, 15)
        self.show("just sold, shown at once", lambda: shop.stock(1))
        deadline = time.monotonic() + PATIENCE
        while shop.stock(1) != 25 and time.monotonic() < deadline:  # noqa: PLR2004 - 40 less 15
            time.sleep(0.005)
        self.show("a moment later", lambda: shop.stock(1))

    def buy(self) -> None:
        """Ask the supplier: a list that has not changed is not sent again."""
        shop = self.catalogue
        for pen in (120, 120, 130):
            self.supplier.publish(pen=pen)
            shop.ask_again()
            prices = shop.supplies().prices
            self._tell(f"{self.supplier.sent} lists    sent by the supplier so far: {prices}")

    def run(self) -> None:
        """Go through the day, for two tenants."""
        with ambient(tenant="acme"):
            self.browse()
            self.change()
            self.sell()
        with ambient(tenant="globex"):
            self.show("another tenant's product 1", lambda: self.catalogue.product(1))
        self.buy()
        self._tell(f"{self.database.asked} queries in all")


def basket(shop: Catalogue, *ids: int) -> list[Any]:
    """Return the products with *ids*."""
    return list(shop.products(list(ids)).values())


def main() -> None:
    """Run against the server that the environment names, or within this process."""
    local = {"STALEPROOF_CACHE_URL": "memory://", "STALEPROOF_NAMESPACE": "shop-example"}
    with Cache.from_env({**local, **os.environ}) as cache:
        Day(cache).run()


if __name__ == "__main__":
    main()
