"""The two drivers: they run a plan, one blocking, one awaiting. Nothing else in the library knows the difference.

An exception of a command is thrown into the plan at its `yield`, so that the plan can release a lease, and a
traceback shows the plan's line. That includes `KeyboardInterrupt` and an asyncio cancellation.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, TypeVar

from staleproof.cache import nesting
from staleproof.cache.commands import Command, Load, Pause

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from staleproof.cache.commands import Plan
    from staleproof.ports import AsyncProvider, Provider

R = TypeVar("R")


def no_loader() -> Any:
    """Stand in where a plan cannot load."""
    raise RuntimeError("this plan has no loader")


def run(plan: Plan[R], provider: Provider, loader: Callable[[], Any] = no_loader) -> R:
    """Run *plan* to its end in this thread, and return its result."""
    reply: Any = None
    failure: BaseException | None = None
    while True:
        try:
            command = plan.send(reply) if failure is None else plan.throw(failure)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        reply = failure = None
        try:
            reply = _perform(command, provider, loader)
        except BaseException as error:  # noqa: BLE001 - the plan decides; it re-raises what it cannot use
            failure = error


def _perform(command: Command, provider: Provider, loader: Callable[[], Any]) -> Any:
    if isinstance(command, Load):
        with nesting.load():
            return loader()
    if isinstance(command, Pause):
        return time.sleep(command.seconds)
    return command.on(provider)


async def arun(plan: Plan[R], provider: AsyncProvider, loader: Callable[[], Awaitable[Any]] = no_loader) -> R:
    """Run *plan* to its end in this task, and return its result."""
    reply: Any = None
    failure: BaseException | None = None
    while True:
        try:
            command = plan.send(reply) if failure is None else plan.throw(failure)
        except StopIteration as end:
            return end.value  # type: ignore[no-any-return]
        reply = failure = None
        try:
            reply = await _aperform(command, provider, loader)
        except BaseException as error:  # noqa: BLE001
            failure = error


async def _aperform(command: Command, provider: AsyncProvider, loader: Callable[[], Awaitable[Any]]) -> Any:
    if isinstance(command, Load):
        with nesting.load():
            return await loader()
    if isinstance(command, Pause):
        import asyncio  # noqa: PLC0415 - the core must not import asyncio; whoever awaits has it already

        return await asyncio.sleep(command.seconds)
    return await command.on(provider)
