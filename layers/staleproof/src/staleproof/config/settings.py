"""`Settings`: everything a cache is told from outside, validated, each value with its origin."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from staleproof.config.given import Layer
from staleproof.config.secret import Secret
from staleproof.policies.policy import Policy

if TYPE_CHECKING:
    from staleproof.config.parameter_store import ParameterStore
    from staleproof.config.sources import Sources  # noqa: TC004 - nothing decodes into these classes


class ServerSettings(msgspec.Struct, frozen=True):
    """One namespace on one cache server.

    Attributes:
        url: its address; shows without its password.
        namespace: the namespace on it.
        timeout: seconds to wait for it.
        max_connections: connections to it that this process may have.
        restarts: what is done with what a server has that came back, `trust` or `clear`.
        durability: who acknowledges invalidations, `primary` or `replicated`.
        reader_urls: endpoints of its replicas; shown without their passwords.
    """

    url: Secret
    namespace: str
    timeout: float
    max_connections: int
    restarts: Literal["trust", "clear"] = "trust"
    durability: Literal["primary", "replicated"] = "primary"
    reader_urls: tuple[Secret, ...] = ()


class NearSettings(msgspec.Struct, frozen=True):
    """The in-process copies.

    Attributes:
        enabled: whether there may be any.
        max_copies: how many.
        max_bytes: how many bytes together, or None for no bound.
        eviction: which goes first.
        weak: whether only what the application still uses is kept.
        budget: how many bytes those of all providers may have together; *max_bytes* by default.
    """

    enabled: bool
    max_copies: int
    max_bytes: int | None
    eviction: str
    weak: bool = False
    budget: int | None = None


class MemorySettings(msgspec.Struct, frozen=True):
    """What a provider inside the process may hold.

    Attributes:
        max_entries: how many entries, or None for no bound.
        max_bytes: how many bytes together, or None.
        eviction: which goes first.
        idle: seconds without a read after which an entry goes, or None.
    """

    max_entries: int | None
    max_bytes: int | None
    eviction: str
    idle: float | None


class BreakerSettings(msgspec.Struct, frozen=True):
    """When a failing server is left alone.

    Attributes:
        failures: so many in a row; 0 for never.
        cooldown: for so many seconds.
    """

    failures: int
    cooldown: float


class Settings(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A validated set of settings. See `staleproof.config.table` for what each means.

    Attributes:
        server: the cache's own server and namespace.
        region: where its invalidations originate.
        off: whether every read loads.
        near: the in-process copies.
        memory: what providers inside the process hold.
        policy: how values are kept where a call names no policy.
        policies: further ones by name; what they leave out is the default policy's.
        providers: further servers by name.
        codec: `msgpack`, `json` or `pickle`.
        pickle_keys: what signs pickles; the first signs, all are accepted.
        compression: `lz4` or `zstd`; from which size on is the policy's `compress_above`.
        dictionaries: paths of zstd dictionaries; the first one writes, all of them read.
        unreachable: what an invalidation does that no server acknowledges, `raise` or `defer`.
        breaker: when a failing server is left alone.
        reload_every: seconds between two looks for new values, or None.
        given: what was written for each path, and where.
        sources: where it was read, to read it again; None if nobody did.
    """

    server: ServerSettings
    region: str
    off: bool
    near: NearSettings
    memory: MemorySettings
    policy: Policy
    policies: Mapping[str, Policy]
    providers: Mapping[str, ServerSettings]
    codec: Literal["msgpack", "json", "pickle"]
    pickle_keys: tuple[Secret, ...]
    compression: Literal["lz4", "zstd"]
    dictionaries: tuple[str, ...]
    unreachable: Literal["raise", "defer"]
    breaker: BreakerSettings
    reload_every: float | None
    given: Layer
    sources: Sources | None = None

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        parameters: ParameterStore | None = None,
        **arguments: Any,
    ) -> Settings:
        """Read *arguments*, the environment, and the Parameter Store and file that these name; see `Sources`.

        Raises:
            ConfigurationError: a setting is missing, wrong or unknown; one line for each, with its origin and the fix.
            ProviderUnavailableError: the Parameter Store cannot be reached.
        """
        from staleproof.config.sources import Sources  # noqa: PLC0415 - it builds what this module defines

        return Sources(environ, parameters=parameters, **arguments).settings()

    def values(self) -> dict[str, Any]:
        """Return what is set, without where it was."""
        about = {"given", "sources"}
        return {name: getattr(self, name) for name in self.__struct_fields__ if name not in about}

    def origin(self, path: str) -> str:
        """Return where the value of *path* was written: `staleproof.toml:12`, or `default`."""
        given = self.given.get(path)
        return "default" if given is None else given.origin

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Settings) and self.values() == other.values()

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in self.values().items())})"

    def __rich_repr__(self) -> Any:
        yield from self.values().items()
