"""Takes a lock on a server, says so with the token, and holds it until it is killed."""

from __future__ import annotations

import sys
import time

from staleproof import Cache
from staleproof.providers.redis import RedisProvider

url, namespace, ttl, renew = sys.argv[1:]
lock = Cache(RedisProvider.from_url(url, namespace=namespace)).lock("report", ttl=ttl, renew=renew or None)
if lock.acquire():
    print(lock.token, flush=True)
    time.sleep(600)
