"""`describe`: which cache a name or an ARN means, by the ElastiCache API.

A name alone may belong to a replication group, a serverless cache, a cache cluster (Memcached, or one node of Valkey
or Redis) and a global datastore, by its id or without the prefix that AWS gives it; each is looked for. A global
datastore is its member in this region. If several caches have the name, all are told and none is taken.

What a process needs: `elasticache:DescribeReplicationGroups`, `DescribeServerlessCaches`, `DescribeCacheClusters`,
`DescribeGlobalReplicationGroups` and `DescribeUsers` (an ARN needs the one of its kind), and a way to the service.
Discovery costs a start some 130 ms for boto3, and a question or more: a function does better with the address that
`staleproof doctor --name` prints.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.aws import reading
from staleproof.aws.catalogue import Catalogue
from staleproof.aws.clients import client as connect
from staleproof.aws.description import CacheDescription, CacheUser, Membership
from staleproof.aws.names import CacheName, parse
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

ALLOW = "elasticache:DescribeReplicationGroups, DescribeServerlessCaches, DescribeCacheClusters"


def describe(name: str, *, region: str | None = None, client: Any = None) -> CacheDescription:
    """Return what AWS says about the cache that *name* means.

    Args:
        name: name or ARN of a replication group, serverless cache, cache cluster or global datastore.
        region: where to look; that of the ARN or the process by default.
        client: an `elasticache` client of boto3 to ask; by default one of our own, with short time-outs.

    Raises:
        ConfigurationError: there is no such cache, there are several, or access is denied.
        ProviderUnavailableError: the service cannot be reached, or the cache is not ready yet; retry.
    """
    wanted = parse(name)
    search = Search(Catalogue(client or connect("elasticache", wanted.region or region)))
    found = {each.arn: each for each in search.found(wanted)}
    if not found:
        raise ConfigurationError(search.nothing(wanted))
    if len(found) > 1:
        raise ConfigurationError(
            f"the name {wanted.name!r} belongs to several caches; give the ARN of one: {', '.join(sorted(found))}"
        )
    return next(iter(found.values()))


class Search:
    """One search through the catalogue."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def found(self, wanted: CacheName) -> Iterator[CacheDescription]:
        """Yield every cache that *wanted* may mean."""
        looks: dict[str, Callable[[str], CacheDescription | None]] = {
            "replicationgroup": self._replication_group,
            "serverlesscache": self._serverless_cache,
            "cluster": self._cache_cluster,
            "globalreplicationgroup": self._member,
        }
        for kind, look in looks.items():
            if wanted.kind in {None, kind}:
                cache = look(wanted.name)
                if cache is not None:
                    yield cache

    def nothing(self, wanted: CacheName) -> str:
        """Return what to say when nothing was found."""
        where = f"region {self._catalogue.region}"
        if self._catalogue.denied:
            denied = ", ".join(dict.fromkeys(self._catalogue.denied))
            return f"cache {wanted.name!r} was not found in {where}, but access is denied to {denied}; allow {ALLOW}"
        return f"there is no cache {wanted.name!r} in {where}; check the name, the region and the account"

    def _replication_group(self, name: str) -> CacheDescription | None:
        answer = self._catalogue.replication_group(name)
        if answer is None:
            return None
        given = answer.get("GlobalReplicationGroupInfo") or {}
        membership = None
        if given.get("GlobalReplicationGroupId"):
            role = given.get("GlobalReplicationGroupMemberRole", "")
            membership = self._membership(given["GlobalReplicationGroupId"], role)
        return reading.replication_group(answer, self._users(answer.get("UserGroupIds")), membership)

    def _serverless_cache(self, name: str) -> CacheDescription | None:
        answer = self._catalogue.serverless_cache(name)
        if answer is None:
            return None
        group = answer.get("UserGroupId")
        return reading.serverless_cache(answer, self._users([group] if group else None))

    def _cache_cluster(self, name: str) -> CacheDescription | None:
        answer = self._catalogue.cache_cluster(name)
        if answer is None:
            return None
        group = answer.get("ReplicationGroupId")
        if group:
            raise ConfigurationError(
                f"{name!r} is one node of the replication group {group!r}; name the group, which leads to its primary"
            )
        return reading.cache_cluster(answer)

    def _member(self, name: str) -> CacheDescription | None:
        """Return this region's member of the global datastore *name*."""
        for datastore in self._catalogue.global_datastores():
            found: str = datastore["GlobalReplicationGroupId"]
            if name in {found, found.partition("-")[2]}:
                return self._local(datastore)
        return None

    def _local(self, datastore: dict[str, Any]) -> CacheDescription | None:
        members = {each["ReplicationGroupRegion"]: each for each in datastore.get("Members", ())}
        local = members.get(self._catalogue.region)
        if local is None:
            raise ConfigurationError(
                f"global datastore {datastore['GlobalReplicationGroupId']!r} has no member in region "
                f"{self._catalogue.region}; it has {_told(members)}"
            )
        return self._replication_group(local["ReplicationGroupId"])

    def _membership(self, datastore: str, role: str) -> Membership:
        primary = self._catalogue.region
        if role.lower() != "primary":
            stores = self._catalogue.global_datastores()
            members = [
                each
                for store in stores
                if store["GlobalReplicationGroupId"] == datastore
                for each in store.get("Members", ())
            ]
            regions = [
                each["ReplicationGroupRegion"]
                for each in members
                if each.get("Role", "").lower() == "primary"
            ]
            primary = regions[0] if regions else ""
        return Membership(datastore, "primary" if role.lower() == "primary" else "secondary", primary)

    def _users(self, groups: list[str] | None) -> tuple[CacheUser, ...] | None:
        if not groups:
            return ()
        found = self._catalogue.users(groups)
        return None if found is None else tuple(map(reading.user, found))


def _told(members: dict[str, dict[str, Any]]) -> str:
    told = [
        f"{each['ReplicationGroupId']} in {region} ({each.get('Role', '').lower()})"
        for region, each in sorted(members.items())
    ]
    return ", ".join(told) or "no members"
