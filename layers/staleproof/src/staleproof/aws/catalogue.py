"""`Catalogue`: the questions that discovery asks the ElastiCache API, each answered completely or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.aws.clients import DENIED, code, translated
from staleproof.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MAX_PAGES = 100

ABSENT = frozenset(
    {
        "ReplicationGroupNotFoundFault",
        "ServerlessCacheNotFoundFault",
        "CacheClusterNotFound",
        "CacheClusterNotFoundFault",
        "GlobalReplicationGroupNotFoundFault",
        "InvalidParameterValue",  # a name that nothing of this kind can have
        "InvalidParameterValueException",
        "InvalidAction",  # a region where there are no such things
    }
)


class Catalogue:
    """What there is, by kind and name.

    Args:
        client: of boto3, for `elasticache`.

    Attributes:
        denied: operations that this process may not use.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.denied: list[str] = []

    @property
    def region(self) -> str:
        """The region that is asked."""
        region: str = self._client.meta.region_name
        return region

    def replication_group(self, name: str) -> dict[str, Any] | None:
        """Return the `ReplicationGroup` of this name, None if there is none."""
        ask = self._client.describe_replication_groups
        return self._one("ReplicationGroups", lambda: ask(ReplicationGroupId=name), name)

    def serverless_cache(self, name: str) -> dict[str, Any] | None:
        """Return the `ServerlessCache` of this name, None if there is none."""
        ask = self._client.describe_serverless_caches
        return self._one("ServerlessCaches", lambda: ask(ServerlessCacheName=name), name)

    def cache_cluster(self, name: str) -> dict[str, Any] | None:
        """Return the `CacheCluster` of this name with its nodes, None if there is none."""
        ask = self._client.describe_cache_clusters
        return self._one("CacheClusters", lambda: ask(CacheClusterId=name, ShowCacheNodeInfo=True), name)

    def global_datastores(self) -> list[dict[str, Any]]:
        """Return every `GlobalReplicationGroup` with its members."""
        ask = self._client.describe_global_replication_groups
        pages = self._pages(lambda **page: ask(ShowMemberInfo=True, **page), "global datastores")
        return [each for page in pages for each in page.get("GlobalReplicationGroups", ())]

    def users(self, groups: list[str]) -> list[dict[str, Any]] | None:
        """Return the `User`s in any of *groups*; None if they may not be read."""
        pages = self._pages(self._client.describe_users, "users", absent=None)
        found = [each for page in pages for each in page.get("Users", ())]
        if "DescribeUsers" in self.denied:
            return None
        return [each for each in found if set(each.get("UserGroupIds", ())) & set(groups)]

    def _one(self, field: str, ask: Callable[[], Any], name: str) -> dict[str, Any] | None:
        answer = self._answer(ask, f"cache {name}")
        found = answer.get(field) if answer is not None else None
        return found[0] if found else None

    def _pages(
        self, ask: Callable[..., Any], what: str, absent: frozenset[str] | None = ABSENT
    ) -> Iterator[dict[str, Any]]:
        marker: dict[str, str] = {}
        for _ in range(MAX_PAGES):
            page = self._answer(lambda: ask(**marker), what, absent or frozenset())  # noqa: B023 - called at once
            if page is None:
                return
            yield page
            if not page.get("Marker"):
                return
            marker = {"Marker": page["Marker"]}
        raise ConfigurationError(
            f"{what}: there are more than {MAX_PAGES} pages of them; name the cache by its ARN"
        )

    def _answer(self, ask: Callable[[], Any], what: str, absent: frozenset[str] = ABSENT) -> Any:
        with translated(what):
            try:
                return ask()
            except Exception as error:
                if code(error) in DENIED:
                    self.denied.append(getattr(error, "operation_name", what))
                elif code(error) not in absent:
                    raise
        return None
