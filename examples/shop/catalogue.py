"""The shop as its pages see it: cached methods over the database, and the changes that make their results stale.

Every key and tag begins with `{@tenant}`, which no method takes as an argument: it is what `ambient(tenant=...)` says
around a request. A method that is called outside of one raises, rather than mix tenants.

The cache is found by name when a method is called, so this module neither makes one nor cares which server it uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from examples.shop.database import Product  # noqa: TC001 - results are read back as what they are annotated as
from staleproof import MISSING, Policy, cache_put, cacheable, cacheable_many, evicts, loading
from staleproof.keys.ambient import ambient_value

if TYPE_CHECKING:
    from examples.shop.database import Database
    from examples.shop.supplier import Supplier

CACHE = "shop"

BROWSING = Policy(ttl="10m", jitter=0.1, negative_ttl="30s", staleness="1s", stale_if_error="1h")
"""Products and pages: kept in the process too, a second behind at most; served stale if the database is away."""

COUNTING = Policy(ttl="10s", stale_while_revalidate="1m")
"""Stock: a number that may be a little old, so nobody waits for a new one."""

BUYING = Policy(ttl="5m", stale_if_error="1d")
"""The supplier's list: kept for a day beyond its time, to ask whether it has changed."""


@dataclass(frozen=True, slots=True)
class PriceList:
    """The supplier's prices, and the state that they are from."""

    prices: dict[str, int]
    etag: str


class Catalogue:
    """What the pages call. The methods' keys name the tenant, not the object: every catalogue shows the same shop."""

    def __init__(self, database: Database, supplier: Supplier) -> None:
        self._database = database
        self._supplier = supplier

    # --- reading -----------------------------------------------------------------------------------

    @cacheable(
        "product:{@tenant}:{product_id}",
        cache=CACHE,
        tags=["product:{@tenant}:{product_id}"],
        policy=BROWSING,
    )
    def product(self, product_id: int) -> Product | None:
        """Return a product, or None, which is kept for half a minute."""
        return self._database.products(tenant(), [product_id]).get(product_id)

    @cacheable_many(
        "product:{@tenant}:{product_id}",
        cache=CACHE,
        tags=["product:{@tenant}:{product_id}"],
        policy=BROWSING,
    )
    def products(self, product_ids: list[int]) -> dict[int, Product | None]:
        """Return products by id: the same entries as `product`'s, and one query for those that are missing."""
        return {**self._database.products(tenant(), product_ids)}

    @cacheable(
        "page:{@tenant}:{shelf:lower}", cache=CACHE, tags=["shelf:{@tenant}:{shelf:lower}"], policy=BROWSING
    )
    def page(self, shelf: str) -> list[str]:
        """Return a shelf as a page shows it. The database says which products it depends on."""
        found = self._database.shelf(tenant(), shelf.lower())
        return [f"{each.name} {each.cents / 100:.2f}" for each in found]

    @cacheable(
        "stock:{@tenant}:{product_id}", cache=CACHE, tags=["stock:{@tenant}:{product_id}"], policy=COUNTING
    )
    def stock(self, product_id: int) -> int:
        """Return how many pieces there are, or were a moment ago."""
        return self._database.pieces(tenant(), product_id)

    @cacheable("supplier", cache=CACHE, tags=["supplier"], policy=BUYING)
    def supplies(self) -> PriceList:
        """Return the supplier's list; it crosses the network only if it has changed."""
        old = loading().stale
        answer = self._supplier.get(None if old is MISSING else old.etag)
        if answer.status == 304:  # noqa: PLR2004 - HTTP's own number
            loading().not_modified()
        return PriceList(answer.prices, answer.etag)

    # --- changing ----------------------------------------------------------------------------------

    @evicts(tags=["shelf:{@tenant}:{shelf:lower}"], cache=CACHE)
    @cache_put(
        "product:{@tenant}:{result.id}", cache=CACHE, tags=["product:{@tenant}:{result.id}"], policy=BROWSING
    )
    def add(self, name: str, shelf: str, cents: int) -> Product | None:
        """Add a product. It is in the cache at once; the shelf's page is made anew."""
        return self._database.add(tenant(), name, shelf.lower(), cents)

    @evicts(tags=["product:{@tenant}:{product_id}"], timing="commit", cache=CACHE)
    def reprice(self, product_id: int, cents: int) -> None:
        """Change a price. A wrong price is wrong: nobody sees the old one after the commit."""
        self._database.reprice(tenant(), product_id, cents)

    @evicts(tags=["supplier"], cache=CACHE)
    def ask_again(self) -> None:
        """Let the next reader ask the supplier. The old list is no answer any more, but good enough to ask with."""

    @evicts(tags=["stock:{@tenant}:{product_id}"], soft=True, cache=CACHE)
    def sell(self, product_id: int, pieces: int) -> None:
        """Sell some pieces. The number shown meanwhile may be the old one."""
        self._database.take(tenant(), product_id, pieces)


def tenant() -> str:
    """Return whose shop this request is for."""
    return str(ambient_value("tenant"))
