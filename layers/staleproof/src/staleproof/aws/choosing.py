"""`address_of`: from what AWS says about a cache to the address that a cache of ours is made with. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from staleproof.aws.description import MEMCACHED
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from staleproof.aws.description import CacheDescription, CacheUser

IAM, PASSWORD, OPEN = "iam", "password", "no-password"
DEFAULT_USER = "default"


def address_of(
    cache: CacheDescription, *, user: str | None = None, secret_id: str | None = None, read_only: bool = False
) -> str:
    """Return the address of *cache*, as `STALEPROOF_CACHE_URL` takes it; it holds no secret.

    Args:
        cache: which one.
        user: id or name of the user to be; by default the only one that IAM lets in.
        secret_id: name or ARN of the secret that holds the password, for users and tokens that have one.
        read_only: whether a cache will do that takes no writes.

    Raises:
        ConfigurationError: the cache takes no writes, or cannot be used so; or who to be is not clear.
    """
    if cache.engine == MEMCACHED:
        return _memcached(cache, user or secret_id)
    _check(cache, read_only=read_only)
    who, query = _credentials(cache, user, secret_id)
    if query and not cache.tls:
        raise ConfigurationError(
            f"cache {cache.name} has no encryption in transit, which users and passwords need; turn it on"
        )
    if cache.cluster:
        query["cluster"] = "true"  # and no reader: a shard's replica cannot show how fresh it is
    elif cache.reader is not None:
        query["reader"] = str(cache.reader)
    scheme = "rediss" if cache.tls else "redis"
    prefix = f"{quote(who, safe='')}@" if who else ""
    return f"{scheme}://{prefix}{cache.endpoint}/0" + (f"?{urlencode(query, safe=':/')}" if query else "")


def _memcached(cache: CacheDescription, who: str | None) -> str:
    """Return the address of the endpoint that names the nodes, or of the only one that there is."""
    if who is not None:
        raise ConfigurationError(f"cache {cache.name} is Memcached, which has no users; leave {who!r} out")
    scheme = "memcacheds" if cache.tls else "memcached"
    return f"{scheme}{'' if cache.serverless else '+discovery'}://{cache.endpoint}/"


def _credentials(
    cache: CacheDescription, user: str | None, secret_id: str | None
) -> tuple[str, dict[str, str]]:
    """Return who to be, "" for nobody, and what the address says of how."""
    if secret_id is not None:
        return user or "", {"secret": secret_id}
    chosen = _chosen(cache, user)
    if chosen is None:
        return "", {}
    kind = {"serverless": "true"} if cache.serverless else {}
    return chosen, {"iam": cache.name, **kind, "region": cache.region}


def _check(cache: CacheDescription, *, read_only: bool) -> None:
    if not cache.writable and not read_only:
        place = cache.membership
        raise ConfigurationError(
            f"cache {cache.name} is the secondary of global datastore {place.datastore if place else ''} in "
            f"{cache.region}: read-only, so that nothing can be stored or invalidated in it; use a cache of this "
            f"region's own, to which invalidations are replicated (the primary is in {_primary(cache)})"
        )


def _primary(cache: CacheDescription) -> str:
    return (cache.membership and cache.membership.primary_region) or "another region"


def _chosen(cache: CacheDescription, user: str | None) -> str | None:
    """Return the user to be by IAM, None if nobody need be anybody."""
    if cache.authentication == "token":
        raise ConfigurationError(
            f"cache {cache.name} wants a password (AUTH token); give secret_id= of the secret that holds it"
        )
    if cache.authentication == "none":
        if user is not None:
            raise ConfigurationError(
                f"cache {cache.name} has no user group, so nobody is {user!r}; leave the user out"
            )
        return None
    if user is not None:
        return _named(cache, user)
    if cache.users is None:
        raise ConfigurationError(
            f"cache {cache.name} has users, who may not be read; give user=, or allow elasticache:DescribeUsers"
        )
    by_iam = [each for each in cache.users if each.authentication == IAM]
    if len(by_iam) == 1:
        return _checked(cache, by_iam[0])
    if not by_iam and any(each.name == DEFAULT_USER and each.authentication == OPEN for each in cache.users):
        return None
    told = ", ".join(f"{each.id} ({each.authentication})" for each in cache.users) or "nobody"
    raise ConfigurationError(
        f"cache {cache.name}: which user to be is not clear; give user=, and secret_id= for one with a password: {told}"
    )


def _named(cache: CacheDescription, user: str) -> str:
    if cache.users is None:
        return user.lower()
    for each in cache.users:
        if user.lower() == each.id.lower() or user == each.name:
            return _checked(cache, each)
    told = ", ".join(each.id for each in cache.users) or "nobody"
    raise ConfigurationError(f"cache {cache.name} has no user {user!r}; it has {told}")


def _checked(cache: CacheDescription, user: CacheUser) -> str:
    if user.authentication != IAM:
        raise ConfigurationError(
            f"user {user.id!r} of cache {cache.name} is let in by {user.authentication}, not by IAM; "
            "give secret_id= of the secret that holds its password"
        )
    if user.id != user.name:
        raise ConfigurationError(
            f"user {user.id!r} of cache {cache.name} has the name {user.name!r}; IAM needs both to be the same"
        )
    return user.id
