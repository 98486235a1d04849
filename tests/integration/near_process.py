"""A process with a near cache that reads when told: the other half of `test_near_cache_frozen`.

It answers each line on standard input with the version it read and with what the near cache counted.
"""

from __future__ import annotations

import json
import sys

import redis

from staleproof import Cache, Policy
from staleproof.providers.redis import RedisProvider


def main(url: str, namespace: str, staleness: str) -> None:
    """Serve reads of the key `source` until standard input ends."""
    cache = Cache(RedisProvider.from_url(url, namespace=namespace), policy=Policy(staleness=float(staleness)))
    source = redis.Redis.from_url(url)

    @cache.cacheable("row", tags=["row"])
    def row() -> int:
        return int(source.get(f"{namespace}:source") or 0)

    for _ in sys.stdin:
        value = row()
        sys.stdout.write(json.dumps({"value": value, "near_hits": cache.statistics.near_hits}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main(*sys.argv[1:])
