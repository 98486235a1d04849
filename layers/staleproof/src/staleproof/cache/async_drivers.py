"""The asyncio driver: as `drivers`, in tasks. Every load is a task of its own, which its callers wait for.

So a caller may be cancelled, or stop waiting, while the load goes on for the others; with the last of them it is
cancelled too, and gives its lease back before that caller's cancellation goes on.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.cache import nesting
from staleproof.cache.commands import Depart, Fly, Landed, Load, Pause, Read, ReadMany, Turn
from staleproof.cache.drivers import in_progress, no_loader, tell_failure
from staleproof.cache.flights import LEADER, AsyncFlights, Flight
from staleproof.cache.missing import MISSING
from staleproof.cache.workers import has_background
from staleproof.errors import ProviderRejectedError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from staleproof.cache.commands import Command, Plan, ProviderCommand
    from staleproof.cache.core import Core
    from staleproof.cache.deferred import Deferred
    from staleproof.ports import AsyncProvider

R = TypeVar("R")

MAX_DEPARTED = 1_000
"""Background tasks at once; above, a refresh is dropped."""

LOSES_CANCELLATIONS = sys.version_info < (3, 12)
"""Whether `asyncio.wait_for`, which redis-py writes with, forgets a cancellation that comes just as it is done."""


class AsyncDriver:
    """Runs plans against *provider*; what they share is in *core*."""

    def __init__(self, core: Core, provider: AsyncProvider, *, background: bool | None = None) -> None:
        self._core = core
        self.provider = provider
        self.flights = AsyncFlights()
        self.background = has_background() if background is None else background
        self._departed: set[asyncio.Task[Any]] = set()

    async def run(
        self, plan: Plan[R], loader: Callable[..., Any] = no_loader, flight: Flight | None = None
    ) -> R:
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
                reply = await self._perform(command, loader, flight)
            except BaseException as error:  # noqa: BLE001 - the plan decides
                failure = error

    async def _perform(self, command: Command, loader: Callable[..., Any], flight: Flight | None) -> Any:
        if flight is not None and isinstance(command, Load | Read | ReadMany):
            flight.ask()
        if isinstance(command, Load):
            with nesting.load(command.context):
                return await (loader() if command.missing is None else loader(command.missing))
        if isinstance(command, Pause):
            return await asyncio.sleep(command.seconds)
        if isinstance(command, Fly):
            return await self._fly(command, loader)
        if isinstance(command, Depart):
            return self._depart(command, loader)
        return await self.ask(command)

    async def ask(self, command: ProviderCommand) -> Any:
        """See `Driver.ask`."""
        breaker = self._core.breaker_for(command)
        if breaker.in_a_row:
            breaker.check()
        try:
            if self._core.deferred:
                await self._apply_deferred(self._core.deferred)
            reply = await (self._asked(command) if LOSES_CANCELLATIONS else command.on(self.provider))
        except ProviderUnavailableError:
            breaker.failed()
            raise
        if breaker.in_a_row:
            breaker.succeeded()
        return reply

    async def _asked(self, command: ProviderCommand) -> Any:
        task = asyncio.current_task()
        before = task.cancelling() if task is not None else 0
        reply = await command.on(self.provider)
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
        return reply

    async def _apply_deferred(self, deferred: Deferred) -> None:
        records = deferred.waiting()
        try:
            places = await self.provider.invalidate(records)
        except ProviderRejectedError as error:
            # Nobody may read past it: to this process the server is as good as away.
            raise ProviderUnavailableError(f"deferred invalidations are refused: {error}") from error
        self._core.caught_up(deferred, records, places)

    # --- flights -----------------------------------------------------------------------------------

    async def _fly(self, fly: Fly, loader: Callable[..., Any]) -> Landed | Turn:
        if in_progress(self._core.namespace, fly.key):
            return Turn.RECURSIVE
        loop = asyncio.get_running_loop()
        aboard = self.flights.board(fly.key, loop, self._core.clock.monotonic(), fly.overdue)
        flight = aboard.flight
        if not aboard.leads:
            turn = await self._join(flight, aboard.number, fly.wait, fly.patience)
            late = self._core.clock.monotonic() - flight.began > fly.overdue
            return Turn.AGAIN if turn is Turn.IMPATIENT and late else turn
        self._take_off(flight, fly.key, fly.plan, loader)
        return await self._join(flight, LEADER, fly.wait, None)

    def _take_off(
        self, flight: Flight, key: Hashable, plan: Callable[[], Plan[Any]], loader: Callable[..., Any]
    ) -> asyncio.Task[Any]:
        loop = asyncio.get_running_loop()
        task = loop.create_task(self.run(plan(), loader, flight))
        flight.task = task
        task.add_done_callback(partial(self._landed, key, loop, flight))
        return task

    def _landed(
        self, key: Hashable, loop: asyncio.AbstractEventLoop, flight: Flight, task: asyncio.Task[Any]
    ) -> None:
        if task.cancelled():
            self.flights.land(key, loop, flight, failure=asyncio.CancelledError())
        elif task.exception() is not None:
            self.flights.land(key, loop, flight, failure=task.exception())
        else:
            self.flights.land(key, loop, flight, task.result())

    @staticmethod
    async def _join(flight: Flight, number: int, wait: float | None, patience: float | None) -> Landed | Turn:
        task = flight.task
        if task is None:
            raise AssertionError("a flight is boarded with its task")
        bounds = [each for each in (wait, patience) if each is not None]
        flight.waiting += 1
        try:
            await asyncio.wait({task}, timeout=min(bounds, default=None))
        except asyncio.CancelledError:
            if flight.waiting == 1 and not task.done():
                task.cancel()
                await asyncio.wait({task})
            raise
        finally:
            flight.waiting -= 1
        if not task.done():
            if wait is None or wait > min(bounds):
                return Turn.IMPATIENT
            flight.waiting += 1  # it goes on, whoever else leaves it
            return Turn.LATE
        if not flight.landed.is_set():
            await asyncio.sleep(0)  # the task is done, and its callbacks are about to run
        return flight.outcome(number)

    # --- the background ----------------------------------------------------------------------------

    def _depart(self, depart: Depart, loader: Callable[..., Any]) -> bool:
        if not self.background or in_progress(self._core.namespace, depart.key):
            return False
        loop = asyncio.get_running_loop()
        aboard = self.flights.board(depart.key, loop, self._core.clock.monotonic(), depart.overdue)
        if not aboard.leads:
            return True
        if len(self._departed) >= MAX_DEPARTED:
            self._core.statistics.refreshes_dropped += 1
            self.flights.land(depart.key, loop, aboard.flight, MISSING)
            return True
        task = self._take_off(aboard.flight, depart.key, depart.plan, loader)
        aboard.flight.waiting += 1  # the background itself: passengers come and go
        self._departed.add(task)
        task.add_done_callback(self._returned)
        return True

    @property
    def departed(self) -> frozenset[asyncio.Task[Any]]:
        """The tasks in the background, of any event loop."""
        return frozenset(self._departed)

    def _returned(self, task: asyncio.Task[Any]) -> None:
        self._departed.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            tell_failure(failure)
