"""Uses that must type-check, and uses that must not: mypy and pyright read this file, nothing runs it.

An `ignore` that is not needed is an error under mypy's strict mode, so each marked line proves that it is refused.
"""

from __future__ import annotations

from typing import assert_type

from staleproof import AsyncCache, Cache, Missing, Policy


def blocking(cache: Cache) -> None:
    """The blocking face keeps arguments, result and handles."""

    @cache.cacheable("square:{number}", tags=["squares"], tags_from=lambda value: [f"value:{value}"])
    def square(number: int, *, note: str = "") -> int:
        return number * number

    assert_type(square(2), int)
    assert_type(square(number=2, note="x"), int)
    assert_type(square.peek(2), int | Missing)
    assert_type(square.refresh(2), int)
    assert_type(square.key(2), str)
    assert_type(square.tags(2), tuple[str, ...])
    square.invalidate(2)
    square("2")  # type: ignore[arg-type]
    square()  # type: ignore[call-arg]
    square(2, note=3)  # type: ignore[arg-type]
    square.invalidate("2")  # type: ignore[arg-type]
    square.key()  # type: ignore[call-arg]
    square.forget(2)  # type: ignore[attr-defined]
    assert_type(cache.get_or_load("k", lambda: 1.5), float)
    assert_type(cache.get("k", kind=str), str | Missing)
    cache.invalidate("a", keys=["b"], row_version=3, lag="2s")
    cache.invalidate(1)  # type: ignore[arg-type]


async def awaiting(cache: AsyncCache) -> None:
    """The asyncio face does too."""

    @cache.cacheable("square:{number}", policy=Policy(ttl="1h", staleness=0))
    async def square(number: int) -> int:
        return number * number

    assert_type(await square(2), int)
    assert_type(await square.peek(2), int | Missing)
    assert_type(await square.refresh(2), int)
    await square("2")  # type: ignore[arg-type]
    await square.invalidate()  # type: ignore[call-arg]

    @cache.cacheable("square:{number}")  # type: ignore[arg-type]
    def not_awaitable(number: int) -> int:
        return number

    not_awaitable.key(1)


Policy(ttl=[])  # type: ignore[arg-type]
Policy("10m")  # type: ignore[call-arg]
