"""`Pool`: wires to one server that threads take turns with, a bounded number of them.

Theory of operation: a wire is idle (in `_idle`) or lent to exactly one exchange. `deque.pop` and `append` are atomic,
so the common path takes no lock. Who finds none idle, and as many made as there may be, waits for its turn: a wire that
comes back is handed to whoever waits longest, past those who come by just then. A fork gets none of the parent's
sockets.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

from staleproof.errors import ProviderUnavailableError
from staleproof.providers.snapstart import close_before_snapshot

if TYPE_CHECKING:
    from staleproof.providers.redis.wire import Wire

_POOLS: WeakSet[Any] = WeakSet()


def _forget_parents() -> None:
    for pool in list(_POOLS):
        pool.forget()  # a child of a fork must not speak on its parent's sockets


os.register_at_fork(after_in_child=_forget_parents)


def forget_after_fork(pool: Any) -> None:
    """Have *pool* `forget` its sockets in every child of a fork."""
    _POOLS.add(pool)


class Pool:
    """Wires to one server.

    Args:
        where: the server's address, for messages.
        timeout: seconds that one waits for its turn.
        size: how many wires there may be.
    """

    def __init__(self, where: str, timeout: float, size: int) -> None:
        self.where = where
        self._timeout = timeout
        self._max = size
        self.forget()
        forget_after_fork(self)
        close_before_snapshot(self)

    def forget(self) -> None:
        """Begin without wires, whoever has them now."""
        self._idle: deque[Wire] = deque()
        self._handed: list[Wire] = []
        self._turns = threading.Condition()
        self._made = self._waiting = 0

    def abandon(self) -> None:
        """Close all connections that are not in use."""
        self.renew()

    def _wire(self) -> Wire:
        """Return a new wire, not yet open."""
        raise NotImplementedError

    def _give_back(self, wire: Wire) -> None:
        self._idle.append(wire)
        self._call_next()

    def _call_next(self) -> None:
        """Hand an idle wire to whoever waits longest, past those who come by just now."""
        if not self._waiting:
            return
        with self._turns:
            with suppress(IndexError):
                self._handed.append(self._idle.pop())
            self._turns.notify()

    def _grow(self) -> Wire:
        """Make a wire, or wait for one if there are as many as there may be."""
        with self._turns:
            if self._made < self._max:
                # Not by the pool's `make_connection`, which counts for itself, also what a fork left behind.
                wire = self._wire()
                self._made += 1
                return wire
            self._waiting += 1
            try:
                self._turns.wait_for(self._offer, self._timeout)
                return self._handed.pop()
            except IndexError:
                pass
            finally:
                self._waiting -= 1
        raise ProviderUnavailableError(
            f"all {self._max} connections to {self.where} stayed busy for {self._timeout} s; "
            "raise max_connections or lower the concurrency, then retry"
        )

    def _offer(self) -> bool:
        """Say whether a wire was handed over, or lies idle: one may have come back before we began to wait."""
        if not self._handed:
            with suppress(IndexError):
                self._handed.append(self._idle.pop())
        return bool(self._handed)

    def renew(self) -> None:
        """Close idle connections, so that the next exchanges look the server up again: it was demoted or replaced."""
        closed = []
        while self._idle:
            with suppress(IndexError):  # another thread may take the last one
                closed.append(self._idle.pop())
        for wire in closed:
            wire.close()
            self._give_back(wire)

    def close(self) -> None:
        """Close idle connections; the next exchange reconnects."""
        self.renew()
