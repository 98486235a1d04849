"""Memcached, and ElastiCache for Memcached: nodes, auto discovery, TLS; extra `memcached`."""

from staleproof.providers.memcached.async_provider import AsyncMemcachedProvider
from staleproof.providers.memcached.provider import MemcachedProvider

__all__ = ["AsyncMemcachedProvider", "MemcachedProvider"]
