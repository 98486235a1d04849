"""`IamCredentials`: a token of IAM in the place of a password.

Theory of operation: the token is a signed request that nobody ever sends: the server checks the signature, who made it,
and whether that may connect. It opens connections for 15 minutes, and a connection that it opened stays open for 12
hours, so three times matter.

* A token is kept for 14 minutes by the larger of two clocks, so that a process that was frozen makes a new one; and
  only as long as this process is who it was: rotated keys make a new one at once.
* Connections are replaced after 11 hours, between two exchanges (see `staleproof.providers.redis.credentials`).
* The signature holds the wall clock's time; a host whose clock is minutes off is refused.

Signing takes no I/O. Where keys come from may: see `staleproof.aws.identity`.

Source: https://docs.aws.amazon.com/AmazonElastiCache/latest/dg/auth-iam.html
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from staleproof.aws import names
from staleproof.aws.clients import default_region
from staleproof.aws.identity import AmbientIdentity
from staleproof.aws.signing import presigned
from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from staleproof.aws.identity import Identity
    from staleproof.aws.signing import Keys
    from staleproof.clock import Instant

SERVICE = "elasticache"
TOKEN_LIFETIME = 900
KEPT = 840.0
CONNECTION_LIFETIME = 11 * 3_600.0
FORGET_EVERY = 60.0
"""Seconds between two refusals that make this process ask anew who it is: a wrong policy must not flood the service."""


def token(cache: str, user: str, keys: Keys, *, region: str, at: float, serverless: bool = False) -> str:
    """Return the token with which *user* opens connections to *cache* from *at* on, for 15 minutes.

    Args:
        cache: id of the replication group, or name of the serverless cache; not its endpoint.
        user: id of the ElastiCache user, which for IAM is its name.
        keys: who signs.
        region: where the cache is.
        at: the moment of signing, in seconds UTC since 1970.
        serverless: whether it is a serverless cache.

    Raises:
        ConfigurationError: the cache or user has no possible name.
    """
    query = {"Action": "connect", "User": names.user_id(user)}
    if serverless:
        query["ResourceType"] = "ServerlessCache"
    return presigned(
        names.cache_name(cache), query, keys, service=SERVICE, region=region, at=at, lifetime=TOKEN_LIFETIME
    )


class IamCredentials:
    """A redis-py `CredentialProvider`, and `staleproof.providers.redis.credentials.Credentials`. Thread-safe.

    Args:
        cache: id of the replication group, or name of the serverless cache.
        user: id of the ElastiCache user.
        region: where the cache is; what `AWS_REGION` or `AWS_DEFAULT_REGION` says by default.
        serverless: whether it is a serverless cache.
        identity: who signs; what the surroundings give by default.
        clock: the source of time.

    Raises:
        ConfigurationError: a name is impossible, or no region is known.
    """

    lifetime: float | None = CONNECTION_LIFETIME

    def __init__(
        self,
        cache: str,
        user: str,
        *,
        region: str | None = None,
        serverless: bool = False,
        identity: Identity | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        where = region or default_region()
        if where is None:
            raise ConfigurationError(
                f"IAM for cache {cache!r}: the region is unknown; set AWS_REGION, or name it"
            )
        self.cache = names.cache_name(cache)
        self.user = names.user_id(user)
        self.region = names.region(where)
        self.serverless = serverless
        self._identity = identity or AmbientIdentity()
        self._clock = clock
        self._held: tuple[Keys, Instant, str] | None = None
        self._forgot: Instant | None = None

    def __repr__(self) -> str:
        return f"IamCredentials({self.cache!r}, {self.user!r}, region={self.region!r}, serverless={self.serverless})"

    def get_credentials(self) -> tuple[str, str]:
        """Return the user and a token that opens connections for another minute or more.

        Raises:
            ConfigurationError: this process has no AWS credentials.
            ProviderUnavailableError: who gives them does not answer; retry.
        """
        keys, now, held = self._identity.keys(), self._clock.now(), self._held
        # One reading and one writing of the attribute: two threads may make a token each, and either is good.
        if held is None or held[0] != keys or now.elapsed(held[1]) >= KEPT:
            made = token(
                self.cache, self.user, keys, region=self.region, at=now.wall, serverless=self.serverless
            )
            held = self._held = (keys, now, made)
        return self.user, held[2]

    async def get_credentials_async(self) -> tuple[str, str]:
        """Return the same; whoever gives the keys is asked in a thread."""
        import asyncio  # noqa: PLC0415 - whoever awaits this has it

        return await asyncio.to_thread(self.get_credentials)

    def rejected(self) -> None:
        """Keep no token; and once a minute, no memory of who this process is either."""
        self._held = None
        now = self._clock.now()
        if self._forgot is None or now.elapsed(self._forgot) >= FORGET_EVERY:
            self._forgot = now
            self._identity.forget()
