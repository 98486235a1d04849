"""A process whose threads count up one number together: the other half of `test_stampede_counting`.

    python -m tests.integration.programs.counting URL NAMESPACE blocking|awaiting WORKERS STEPS

It says `ready`, begins when it reads a line, and prints every sum that its workers were told.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading

from staleproof import AsyncCache, Cache, Policy
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider

PATIENT = Policy(ttl="1m", patience="1m")


def begin() -> None:
    """Wait for the others."""
    print("ready", flush=True)
    sys.stdin.readline()


def blocking(url: str, namespace: str, workers: int, steps: int) -> list[int]:
    """Count in threads."""
    cache = Cache(RedisProvider.from_url(url, namespace=namespace), policy=PATIENT)
    sums: list[int] = []

    def count() -> None:
        sums.extend([cache.increment("number") for _ in range(steps)])

    threads = [threading.Thread(target=count) for _ in range(workers)]
    begin()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cache.close()
    return sums


async def awaiting(url: str, namespace: str, workers: int, steps: int) -> list[int]:
    """Count in tasks."""
    cache = AsyncCache(AsyncRedisProvider.from_url(url, namespace=namespace), policy=PATIENT)

    async def count() -> list[int]:
        return [await cache.increment("number") for _ in range(steps)]

    await asyncio.to_thread(begin)
    counted = await asyncio.gather(*(count() for _ in range(workers)))
    await cache.close()
    return [each for some in counted for each in some]


def main(url: str, namespace: str, face: str, *numbers: str) -> None:
    """Count, and print the sums."""
    workers, steps = map(int, numbers)
    if face == "blocking":
        sums = blocking(url, namespace, workers, steps)
    else:
        sums = asyncio.run(awaiting(url, namespace, workers, steps))
    print(json.dumps(sums), flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
