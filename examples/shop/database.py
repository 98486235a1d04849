"""The source of truth: products and stock of two tenants in SQLite. It knows nothing of caches but one line.

`depends(...)` tells whoever loads something around here which row it was built from; without a load under way it does
nothing. `asked` counts the queries, which is what a cache is for.
"""

from __future__ import annotations

import sqlite3
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from staleproof import depends, key

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SCHEMA = """
CREATE TABLE products (tenant TEXT, id INTEGER, name TEXT, shelf TEXT, cents INTEGER, PRIMARY KEY (tenant, id));
CREATE TABLE stock (tenant TEXT, id INTEGER, pieces INTEGER, PRIMARY KEY (tenant, id));
"""
ROWS = (
    ("acme", 1, "pen", "desk", 250, 40),
    ("acme", 2, "ink", "desk", 900, 12),
    ("acme", 3, "lamp", "desk", 4_900, 3),
    ("globex", 1, "rocket", "yard", 999_900, 1),
)


@dataclass(frozen=True, slots=True)
class Product:
    """A product of one tenant; prices are in cents."""

    id: int
    name: str
    shelf: str
    cents: int


class Database:
    """SQLite in memory. Threads share the connection, one at a time: background loads come from others."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(":memory:", check_same_thread=False, isolation_level=None)
        self._connection.executescript(SCHEMA)
        for *product, pieces in ROWS:
            self._connection.execute("INSERT INTO products VALUES (?, ?, ?, ?, ?)", product)
            self._connection.execute("INSERT INTO stock VALUES (?, ?, ?)", (*product[:2], pieces))
        self.asked = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is changed within, or roll it back if it raises."""
        with self._lock:
            self._connection.execute("BEGIN")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    def products(self, tenant: str, ids: Sequence[int]) -> dict[int, Product]:
        """Return the products with these ids, in one query; those that there are not are left out."""
        marks = ", ".join("?" * len(ids))
        query = f"SELECT id, name, shelf, cents FROM products WHERE tenant = ? AND id IN ({marks})"  # noqa: S608
        return {row[0]: Product(*row) for row in self._rows(query, tenant, *ids)}

    def shelf(self, tenant: str, shelf: str) -> list[Product]:
        """Return the products of a shelf. Whatever is built from them depends on each of them."""
        query = "SELECT id, name, shelf, cents FROM products WHERE tenant = ? AND shelf = ? ORDER BY id"
        found = [Product(*row) for row in self._rows(query, tenant, shelf)]
        depends(*(key("product:{tenant}:{id}", tenant=tenant, id=each.id) for each in found))
        return found

    def pieces(self, tenant: str, product_id: int) -> int:
        """Return how many pieces are in stock, 0 for what is not sold."""
        rows = self._rows("SELECT pieces FROM stock WHERE tenant = ? AND id = ?", tenant, product_id)
        return rows[0][0] if rows else 0

    def add(self, tenant: str, name: str, shelf: str, cents: int) -> Product:
        """Insert a product and return it with its new id."""
        ((highest,),) = self._rows("SELECT max(id) FROM products WHERE tenant = ?", tenant)
        added = Product(highest + 1, name, shelf, cents)
        self._rows("INSERT INTO products VALUES (?, ?, ?, ?, ?)", tenant, added.id, name, shelf, cents)
        return added

    def reprice(self, tenant: str, product_id: int, cents: int) -> None:
        """Change a price."""
        self._rows("UPDATE products SET cents = ? WHERE tenant = ? AND id = ?", cents, tenant, product_id)

    def take(self, tenant: str, product_id: int, pieces: int) -> None:
        """Take pieces from the stock."""
        self._rows(
            "UPDATE stock SET pieces = pieces - ? WHERE tenant = ? AND id = ?", pieces, tenant, product_id
        )

    def _rows(self, query: str, *values: Any) -> list[Any]:
        with self._lock:
            self.asked += 1
            return self._connection.execute(query, values).fetchall()
