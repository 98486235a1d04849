"""Settings of a cache, from the environment.

========================  ===============================================================  ===========
variable                  meaning                                                          default
========================  ===============================================================  ===========
`STALEPROOF_CACHE_URL`    `redis://`, `rediss://` (TLS), `unix://`, or `memory://`         required
`STALEPROOF_NAMESPACE`    which namespace of the server this application uses              required
`STALEPROOF_REGION`       region in which invalidations originate                          `AWS_REGION`
`STALEPROOF_TTL`          how long entries live, such as `10m`, or `none`                  `10m`
`STALEPROOF_STALENESS`    bound of in-process copies, such as `1s` or `0`; `off` for none  `off`
`STALEPROOF_TIMEOUT`      seconds to wait for the server                                   `1s`
========================  ===============================================================  ===========
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from staleproof.errors import ConfigurationError
from staleproof.policies.duration import seconds
from staleproof.policies.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Mapping

    from staleproof.ports import AsyncProvider, Provider

_SCHEMES = ("redis://", "rediss://", "unix://", "memory://")


class Settings(NamedTuple):
    """A validated set of settings."""

    url: str
    namespace: str
    region: str
    timeout: float
    policy: Policy

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Settings:
        """Read the variables.

        Raises:
            ConfigurationError: one is missing or wrong; it names the variable, the value and the fix.
        """
        env = os.environ if environ is None else environ
        url = _required(env, "STALEPROOF_CACHE_URL", "redis://127.0.0.1:6379/0")
        if not url.startswith(_SCHEMES):
            scheme = url.partition(":")[0]
            raise ConfigurationError(
                f"STALEPROOF_CACHE_URL has the scheme {scheme!r}; use one of {', '.join(_SCHEMES)}"
            )
        ttl = env.get("STALEPROOF_TTL", "10m")
        staleness = env.get("STALEPROOF_STALENESS", "off")
        policy = Policy(
            ttl=None if ttl == "none" else _duration("STALEPROOF_TTL", ttl),
            staleness=None if staleness == "off" else _duration("STALEPROOF_STALENESS", staleness),
        )
        return cls(
            url=url,
            namespace=_required(env, "STALEPROOF_NAMESPACE", "shop"),
            region=env.get("STALEPROOF_REGION") or env.get("AWS_REGION") or "local",
            timeout=_duration("STALEPROOF_TIMEOUT", env.get("STALEPROOF_TIMEOUT", "1s")),
            policy=policy,
        )


def _required(env: Mapping[str, str], name: str, example: str) -> str:
    value = env.get(name, "")
    if not value:
        raise ConfigurationError(
            f"{name} is not set; set it in the function's environment, such as {example}"
        )
    return value


def _duration(name: str, value: str) -> float:
    try:
        return seconds(float(value), name)
    except ValueError:
        return seconds(value, name)


def provider(settings: Settings) -> Provider:
    """Return the blocking provider that *settings* describe. Nothing is connected yet."""
    if settings.url.startswith("memory://"):
        from staleproof.providers.memory import MemoryProvider  # noqa: PLC0415 - only what is used is imported

        return MemoryProvider(settings.namespace)
    from staleproof.providers.redis import RedisProvider  # noqa: PLC0415

    return RedisProvider.from_url(settings.url, namespace=settings.namespace, timeout=settings.timeout)


def async_provider(settings: Settings) -> AsyncProvider:
    """Return the asyncio provider that *settings* describe. Nothing is connected yet."""
    if settings.url.startswith("memory://"):
        from staleproof.providers.async_memory import AsyncMemoryProvider  # noqa: PLC0415

        return AsyncMemoryProvider(settings.namespace)
    from staleproof.providers.redis import AsyncRedisProvider  # noqa: PLC0415

    return AsyncRedisProvider.from_url(settings.url, namespace=settings.namespace, timeout=settings.timeout)
