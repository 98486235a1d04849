"""Redis and Valkey: sans-IO steps (`steps`, `journal`, `scripts`), connections, and a provider for each face.

One server gets a step as one exchange (`exchange`, `connections`), a cluster in waves (`cluster_steps`, `delivery`,
`cluster_connections`).
"""

from staleproof.providers.redis.async_provider import AsyncRedisProvider
from staleproof.providers.redis.cluster_connections import ClusterConnections
from staleproof.providers.redis.connections import Connections
from staleproof.providers.redis.provider import RedisProvider
from staleproof.providers.redis.tracking import Tracker

__all__ = ["AsyncRedisProvider", "ClusterConnections", "Connections", "RedisProvider", "Tracker"]
