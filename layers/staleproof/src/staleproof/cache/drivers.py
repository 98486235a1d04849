"""The blocking driver: it runs a plan against a provider, in this thread. `async_drivers` has its asyncio twin.

An exception of a command is thrown into the plan at its `yield`, so that the plan can release a lease, and a
traceback shows the plan's line. That includes `KeyboardInterrupt` and an asyncio cancellation.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.cache import nesting
from staleproof.cache.commands import Apart, Depart, Fly, Landed, Load, Pause, Read, ReadMany, Turn
from staleproof.cache.flights import LEADER, Flight, Flights
from staleproof.cache.missing import MISSING
from staleproof.cache.workers import Workers, has_background
from staleproof.errors import ProviderRejectedError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from staleproof.cache.commands import Command, Plan, ProviderCommand
    from staleproof.cache.core import Core
    from staleproof.cache.deferred import Deferred
    from staleproof.ports import Provider

R = TypeVar("R")


def no_loader(*_: Any) -> Any:
    """Stand in where a plan cannot load."""
    raise RuntimeError("this plan has no loader")


def in_progress(namespace: str, flight: Hashable) -> bool:
    """Say whether this code runs inside a load that *flight* would wait for."""
    flown: Any = flight.flight if isinstance(flight, Apart) else flight
    questions = [flown] if isinstance(flown[0], str) else flown
    return any(nesting.in_progress(namespace, key) for key, *_ in questions)


def tell_failure(error: BaseException) -> None:
    """Log what went wrong where nobody waits for it."""
    import logging  # noqa: PLC0415 - most programs never need it, and a cold start pays for it

    logging.getLogger("staleproof").warning("a load in the background failed", exc_info=error)


class Driver:
    """Runs plans against *provider*; what they share is in *core*.

    Args:
        core: for its breaker and its statistics.
        provider: the cache server.
        background: whether refreshes may go on in threads; None asks where it runs.
    """

    def __init__(self, core: Core, provider: Provider, *, background: bool | None = None) -> None:
        self._core = core
        self.provider = provider
        self.flights = Flights()
        self.workers = Workers()
        self.background = has_background() if background is None else background

    def run(self, plan: Plan[R], loader: Callable[..., Any] = no_loader, flight: Flight | None = None) -> R:
        """Run *plan* to its end, and return its result."""
        reply: Any = None
        failure: BaseException | None = None
        while True:
            try:
                command = plan.send(reply) if failure is None else plan.throw(failure)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]
            reply = failure = None
            try:
                reply = self._perform(command, loader, flight)
            except BaseException as error:  # noqa: BLE001 - the plan decides; it re-raises what it cannot use
                failure = error

    def _perform(self, command: Command, loader: Callable[..., Any], flight: Flight | None) -> Any:
        if flight is not None and isinstance(command, Load | Read | ReadMany):
            flight.ask()
        if isinstance(command, Load):
            with nesting.load(command.context):
                return loader() if command.missing is None else loader(command.missing)
        if isinstance(command, Pause):
            return time.sleep(command.seconds)
        if isinstance(command, Fly):
            return self._fly(command, loader)
        if isinstance(command, Depart):
            return self._depart(command, loader)
        return self.ask(command)

    def ask(self, command: ProviderCommand) -> Any:
        """Put one question to the server, unless it is left alone just now.

        Raises:
            ProviderUnavailableError: no answer, or the breaker is open.
            ProviderRejectedError: the server refused.
        """
        breaker = self._core.breaker_for(command)
        if breaker.in_a_row:
            breaker.check()
        try:
            if self._core.deferred:
                self._apply_deferred(self._core.deferred)
            reply = command.on(self.provider)
        except ProviderUnavailableError:
            breaker.failed()
            raise
        if breaker.in_a_row:
            breaker.succeeded()
        return reply

    def _apply_deferred(self, deferred: Deferred) -> None:
        records = deferred.waiting()
        try:
            places = self.provider.invalidate(records)
        except ProviderRejectedError as error:
            # Nobody may read past it: to this process the server is as good as away.
            raise ProviderUnavailableError(f"deferred invalidations are refused: {error}") from error
        self._core.caught_up(deferred, records, places)

    # --- flights -----------------------------------------------------------------------------------

    def _fly(self, fly: Fly, loader: Callable[..., Any]) -> Landed | Turn:
        if in_progress(self._core.namespace, fly.key):
            return Turn.RECURSIVE
        aboard = self.flights.board(fly.key, self._core.clock.monotonic(), fly.overdue)
        flight = aboard.flight
        if not aboard.leads:
            turn = self._join(flight, aboard.number, fly.wait, fly.patience)
            return Turn.AGAIN if turn is Turn.IMPATIENT and self._is_overdue(flight, fly) else turn
        lead = partial(self._lead, flight, fly.key, fly.plan, loader)
        if fly.detached and self.workers.detach(partial(self._silently, lead)):
            return self._join(flight, LEADER, fly.wait, None)
        return Landed(lead())

    def _lead(
        self, flight: Flight, key: Hashable, plan: Callable[[], Plan[Any]], loader: Callable[..., Any]
    ) -> Any:
        try:
            value = self.run(plan(), loader, flight)
        except BaseException as error:
            self.flights.land(key, flight, failure=error)
            raise
        self.flights.land(key, flight, value)
        return value

    def _is_overdue(self, flight: Flight, fly: Fly) -> bool:
        return self._core.clock.monotonic() - flight.began > fly.overdue

    @staticmethod
    def _join(flight: Flight, number: int, wait: float | None, patience: float | None) -> Landed | Turn:
        bounds = [each for each in (wait, patience) if each is not None]
        if not flight.landed.wait(min(bounds, default=None)):
            return Turn.LATE if wait is not None and wait == min(bounds) else Turn.IMPATIENT
        return flight.outcome(number)

    @staticmethod
    def _silently(work: Callable[[], object]) -> None:
        with suppress(BaseException):  # whoever waits aboard gets it
            work()

    # --- the background ----------------------------------------------------------------------------

    def _depart(self, depart: Depart, loader: Callable[..., Any]) -> bool:
        if not self.background or in_progress(self._core.namespace, depart.key):
            return False
        aboard = self.flights.board(depart.key, self._core.clock.monotonic(), depart.overdue)
        if not aboard.leads:
            return True
        lead = partial(self._lead, aboard.flight, depart.key, depart.plan, loader)
        if not self.workers.start(partial(self._quietly, lead), depart.overdue):
            self._core.statistics.refreshes_dropped += 1
            self.flights.land(depart.key, aboard.flight, MISSING)
        return True

    @staticmethod
    def _quietly(work: Callable[[], object]) -> None:
        try:
            work()
        except Exception as error:  # noqa: BLE001 - counted, and whoever waits aboard gets it
            tell_failure(error)
