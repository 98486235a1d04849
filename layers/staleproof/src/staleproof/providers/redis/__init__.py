"""Redis and Valkey: sans-IO steps (`steps`, `journal`, `scripts`), connections, and a provider for each face."""

from staleproof.providers.redis.async_provider import AsyncRedisProvider
from staleproof.providers.redis.connections import Connections
from staleproof.providers.redis.provider import RedisProvider
from staleproof.providers.redis.tracking import Tracker

__all__ = ["AsyncRedisProvider", "Connections", "RedisProvider", "Tracker"]
