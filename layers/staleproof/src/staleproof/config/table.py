"""Every setting: its path, what may stand in it, its default and its meaning. Everything else reads these tables.

A setting has one path, such as `near.max_copies`, from which each source derives its own way to write it:

=================  ==================================================
environment        `STALEPROOF_NEAR_MAX_COPIES=500`
`staleproof.toml`  `[near]` and below it `max_copies = 500`
Parameter Store    `/staleproof/prod/near/max_copies`, with the value 500
argument           `near={"max_copies": 500}`
=================  ==================================================

The fields of the default policy are settings themselves (`ttl`), read from `Policy`'s own table. Two tables have rows
that the user names, `policies.NAME.FIELD` and `providers.NAME.FIELD`; the environment parts theirs by two underscores:
`STALEPROOF_POLICIES__HOT__TTL`, `STALEPROOF_PROVIDERS__SESSIONS__URL`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from staleproof.config import kinds
from staleproof.policies.fields import choice
from staleproof.policies.policy import Policy
from staleproof.stores.orders import EVICTIONS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    Check = Callable[[Any, str], Any]

PREFIX = "STALEPROOF_"
SSM_PATH = "/staleproof/{stage}"
REQUIRED: Any = object()


class Setting(msgspec.Struct, frozen=True):
    """One setting.

    Attributes:
        path: its name, dotted.
        check: turns what was written into what is kept, or raises.
        default: as it would be written.
        meaning: one sentence for people.
        secret: whether its value is never shown.
        reloads: whether a running process takes a new value.
    """

    path: str
    check: Check
    default: Any
    meaning: str
    secret: bool = False
    reloads: bool = False


def _secret(path: str, check: Check, default: Any, meaning: str) -> Setting:
    return Setting(path, check, default, meaning, secret=True)


def _live(path: str, check: Check, default: Any, meaning: str) -> Setting:
    return Setting(path, check, default, meaning, reloads=True)


_CODECS = choice("msgpack", "json", "pickle")
_UNREACHABLE = choice("raise", "defer")
_RESTARTS = choice("trust", "clear")
_DURABILITY = choice("primary", "replicated")

SETTINGS: Mapping[str, Setting] = {
    each.path: each
    for each in (
        _secret("cache_url", kinds.url, REQUIRED, "`redis://`, `rediss://` (TLS), `unix://`, `memcached://`, or `memory://`"),
        _secret("reader_url", kinds.reader_urls, (), "endpoint of its replicas, or several; for `reader`"),
        Setting("namespace", kinds.namespace, REQUIRED, "which namespace of the server this application uses"),
        Setting("region", kinds.region, "local", "where invalidations originate; `AWS_REGION` if not set"),
        Setting("timeout", kinds.timeout, "1s", "how long to wait for the server"),
        Setting("max_connections", kinds.count, 64, "connections to the server that a process may have"),
        Setting("restarts", _RESTARTS, "trust", "what a server that came back has: `trust` it, or `clear` it first"),
        Setting("durability", _DURABILITY, "primary", "who acknowledges invalidations: `primary`, `replicated`"),
        _live("off", kinds.flag, "false", "caching is off: every read loads"),
        Setting("near.enabled", kinds.flag, "true", "whether policies may keep in-process copies"),
        Setting("near.max_copies", kinds.count, 10_000, "how many in-process copies are kept"),
        Setting("near.max_bytes", kinds.optional(kinds.size), "none", "how much they may weigh, such as `64MB`"),
        Setting("near.eviction", choice(*EVICTIONS), "lru", "which goes first: `lru`, `lfu`, `fifo`, `tinylfu`"),
        Setting("near.weak", kinds.flag, "false", "keep only copies that the application still uses"),
        Setting("near.budget", kinds.optional(kinds.size), "none", "what those of all providers may weigh together"),
        Setting("memory.max_entries", kinds.optional(kinds.count), 1_000_000, "of `memory://`: how many entries"),
        Setting("memory.max_bytes", kinds.optional(kinds.size), "256MiB", "how much they may weigh"),
        Setting("memory.eviction", choice(*EVICTIONS), "lru", "which goes first, as near copies"),
        Setting("memory.idle", kinds.optional(kinds.period), "none", "after how long without a read an entry goes"),
        Setting("codec", _CODECS, "msgpack", "how values are written: `msgpack`, `json`, `pickle`"),
        _secret("pickle_keys", kinds.signing_keys, (), "keys for pickles, comma separated; the first signs"),
        Setting("compression", choice("lz4", "zstd"), "lz4", "how large values are compressed: `lz4`, `zstd`"),
        Setting("dictionaries", kinds.paths, (), "files of zstd dictionaries, comma separated; the first one writes"),
        Setting("unreachable", _UNREACHABLE, "raise", "what an unacknowledged invalidation does: `raise`, `defer`"),
        _live("breaker.failures", kinds.tolerance, 3, "failures in a row that open it; `0` for never"),
        _live("breaker.cooldown", kinds.period, "1s", "how long it leaves the server alone"),
        Setting("reload_every", kinds.optional(kinds.period), "1m", "how often to look for new values, or `none`"),
        Setting("file", kinds.optional(kinds.text), "staleproof.toml", "path of the settings file, or `none`"),
        _live("stage", kinds.optional(kinds.stage), "none", "stage of the deployment, such as `prod`"),
        _live("ssm_path", kinds.optional(kinds.parameter_path), SSM_PATH, "its parameters' path, or `none`"),
    )
}  # fmt: skip

SERVER: Mapping[str, Setting] = {
    each.path: each
    for each in (
        _secret("url", kinds.url, REQUIRED, "address of a further cache server"),
        _secret("reader_url", kinds.reader_urls, (), "endpoint of its replicas, or several"),
        Setting("namespace", kinds.namespace, None, "namespace on it; that of the cache if not set"),
        Setting("timeout", kinds.timeout, None, "as that of the cache"),
        Setting("max_connections", kinds.count, None, "as that of the cache"),
        Setting("restarts", _RESTARTS, None, "as that of the cache"),
        Setting("durability", _DURABILITY, None, "as that of the cache"),
    )
}
"""The columns of `providers.NAME`; a default of None is what the cache's own server has."""

DEFAULTS: Mapping[str, Any] = {
    name: default for name, default in (Policy.__init__.__kwdefaults__ or {}).items() if name in Policy.FIELDS
}
"""The fields of the default policy, as they would be written."""

LOCATORS = frozenset({"file", "stage", "ssm_path"})
"""Settings that say where the others are: no Parameter Store can hold them, and no file can name itself."""

NAME = r"[a-z][a-z0-9]*(?:_[a-z0-9]+)*"
"""The pattern of names of policies and providers: every source can write them."""


def field(name: str) -> Check:
    """Return the check of a policy's field, made to take texts as well."""
    if isinstance(DEFAULTS[name], bool):
        return kinds.flag
    check = Policy.FIELDS[name]
    return lambda value, path: check(kinds.natural(value), path)


def setting(path: str) -> Setting | None:
    """Return the setting at *path*, or None if there is none."""
    fixed = SETTINGS.get(path)
    if fixed is not None:
        return fixed
    if path in DEFAULTS:
        return Setting(path, field(path), DEFAULTS[path], "", reloads=True)
    table, _, rest = path.partition(".")
    name, _, column = rest.partition(".")
    if not re.fullmatch(NAME, name):
        return None
    if table == "policies" and column in DEFAULTS:
        return Setting(path, field(column), None, "", reloads=True)
    if table == "providers" and column in SERVER:
        return msgspec.structs.replace(SERVER[column], path=path)
    return None


def variable(path: str) -> str:
    """Return how the environment writes *path*."""
    apart = "__" if path.startswith(("policies.", "providers.")) else "_"
    return PREFIX + path.replace(".", apart).upper()


_VARIABLES: Mapping[str, str] = {variable(path): path for path in (*SETTINGS, *DEFAULTS)}


def path_of(name: str) -> str:
    """Return the path that the environment's variable *name* means, whether or not there is such a setting."""
    known = _VARIABLES.get(name)
    if known is not None:
        return known
    path = name.removeprefix(PREFIX).lower()
    return path.replace("__", ".") if path.startswith(("policies__", "providers__")) else path
