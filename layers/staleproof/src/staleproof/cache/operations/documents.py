"""JSON documents: the plans, over an ordinary entry, or over the server's own JSON module.

Theory of operation
-------------------
*As an entry* a document is a value like any other: `get` and tags work on it, near caches and other regions follow it,
on every provider. A path is changed by `update`: read, change, store, under the key's lease. It is exact, and moves the
whole document. Lua's `cjson` would not be exact: its numbers are doubles, and `[]` becomes `{}`.

*By the module* only what is at the path moves. The document lies beside the entries, as `{"v": ..., "d": ...}`: the
versions of its tags from before it was set, and the document. Whoever reads compares these with the current ones; so
invalidating a tag hides it at once, and a missing version is a miss (P6). A change of a path leaves `v` as it is: one
that meets an invalidation changes what nobody will read. It is not journalled and not replicated.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from staleproof.cache.commands import Read, TakeSnapshot
from staleproof.cache.missing import MISSING
from staleproof.cache.operations import paths
from staleproof.cache.operations.features import modules
from staleproof.cache.operations.performing import Perform
from staleproof.errors import ConfigurationError
from staleproof.ports.operations import Forget, JsonPut, Native

if TYPE_CHECKING:
    from staleproof.cache.call import Call
    from staleproof.cache.commands import Plan
    from staleproof.cache.core import Core
    from staleproof.cache.operations.paths import Steps
    from staleproof.ports import Observed, Snapshot

MAX_BYTES = 16 * 2**20
KIND = "json"


class Setting:
    """A change for `update`: put *value* at the end of *steps*.

    Attributes:
        made: whether there was such a place, by the last call.
    """

    def __init__(self, steps: Steps, value: Any) -> None:
        self._steps = steps
        self._value = paths.checked(value)
        self.made = False

    def __call__(self, document: Any) -> Any:
        """Return the new document, or `MISSING` to leave it."""
        new = MISSING if document is MISSING and self._steps else self._changed(document)
        self.made = new is not MISSING
        return new

    def _changed(self, document: Any) -> Any:
        return paths.changed(document, self._steps, lambda _: self._value)


class Merging(Setting):
    """A change for `update`: merge *value* into what is at the end of *steps*, as RFC 7396 says."""

    def _changed(self, document: Any) -> Any:
        return paths.changed(document, self._steps, lambda old: paths.merged(old, self._value))


class Counting:
    """A change for `update`: add *by* to the number at the end of *steps*.

    Attributes:
        value: the new number, or `MISSING`, by the last call.
    """

    def __init__(self, steps: Steps, by: float) -> None:
        self._steps = steps
        self._by = by
        self.value: Any = MISSING

    def __call__(self, document: Any) -> Any:
        """Return the new document, or `MISSING` to leave it."""
        old = MISSING if document is MISSING else paths.found(document, self._steps)
        if old is MISSING:
            self.value = MISSING
            return MISSING
        self.value = paths.added(old, self._by)
        return paths.changed(document, self._steps, lambda _: self.value)


# --- by the module -----------------------------------------------------------------------------------


def module_set(core: Core, call: Call, value: Any) -> Plan[bool]:
    """Put a whole document, with the versions that its tags have now."""
    (yield from modules(core)).require("json")
    snapshot: Snapshot = yield TakeSnapshot(call.tags, call.policy.tag_ttl_ms, guard=False)
    stamp = {tag.hex(): version.hex() for tag, version in zip(call.tags, snapshot.versions, strict=True)}
    raw = _text({"v": stamp, "d": paths.checked(value)})
    yield Perform(JsonPut(call.key, raw, call.policy.ttl_ms))
    return True


def module_get(core: Core, call: Call, steps: Steps) -> Plan[Any]:
    """Return what is at the end of *steps*, if the document's tags all stand; else `MISSING`."""
    (yield from modules(core)).require("json")
    place = "$.d" + paths.rendered(steps)
    told = yield from _told(call, ("$.v", place))
    values = told.get(place)
    return values[0] if isinstance(values, list) and values else MISSING


def _told(call: Call, places: tuple[str, ...]) -> Plan[dict[str, Any]]:
    """Return what lies at *places*, of which `$.v` is the first; nothing if the document is not to be read."""
    observed: Observed = yield Read(call.key, call.tags)
    reply: Any = yield Perform(Native("JSON.GET", call.key, KIND, places))
    told = json.loads(reply) if isinstance(reply, bytes | str) else None
    if len(places) == 1:  # a single path comes without its name
        told = {places[0]: told}
    if not isinstance(told, dict) or not _stands(told.get("$.v"), call, observed):
        return {}
    return told


def _stands(stamps: Any, call: Call, observed: Observed) -> bool:
    """Say whether the versions that a document was set under are those of now; what is missing is no match."""
    stamp = stamps[0] if isinstance(stamps, list) and stamps else None
    if not isinstance(stamp, dict) or len(stamp) != len(call.tags):
        return False
    pairs = zip(call.tags, observed.versions, strict=True)
    return all(version is not None and stamp.get(tag.hex()) == version[:8].hex() for tag, version in pairs)


def module_change(core: Core, call: Call, steps: Steps, command: str, value: Any) -> Plan[Any]:
    """Do *command* with *value* at the end of *steps*, if the document's tags stand; return its reply, or `MISSING`."""
    (yield from modules(core)).require("json")
    if not (yield from _told(call, ("$.v",))):
        return MISSING
    place = "$.d" + paths.rendered(steps)
    return (yield Perform(Native(command, call.key, KIND, (place, _text(value)))))


def module_count(core: Core, call: Call, steps: Steps, by: float) -> Plan[Any]:
    """Add *by* to the number at the end of *steps*; return the new one, or `MISSING`."""
    paths.added(0, by)
    reply = yield from module_change(core, call, steps, "JSON.NUMINCRBY", by)
    values = json.loads(reply) if isinstance(reply, bytes) else None
    value = values[0] if isinstance(values, list) and values else values
    return MISSING if value is None else value


def module_remove(call: Call) -> Plan[None]:
    """Forget the document."""
    yield Perform(Forget(call.key, KIND))


def _text(value: Any) -> bytes:
    raw = json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()
    if len(raw) > MAX_BYTES:
        raise ConfigurationError(
            f"value: {len(raw)} bytes of JSON; the limit is {MAX_BYTES}: split the document"
        )
    return raw
