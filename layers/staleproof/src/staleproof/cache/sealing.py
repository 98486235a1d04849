"""From a loaded value to an entry: what is let in, and how it is wrapped. No I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from staleproof.cache import uncommitted
from staleproof.cache.announcing import warn_inexact
from staleproof.codecs.compression import compress
from staleproof.entry import Entry
from staleproof.errors import InexactError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof.cache.call import Call
    from staleproof.cache.composing import Loaded
    from staleproof.cache.core import Core
    from staleproof.tags import TagId


def admitted(core: Core, call: Call, loaded: Loaded) -> bool:
    """Say whether a value is to be stored at all, as far as that is known without its bytes."""
    policy = call.policy
    if uncommitted.pending() is not None:
        return _left(core, "transaction")
    if loaded.context.skipped or loaded.context.unsure:
        return _left(core, "skipped" if loaded.context.skipped else "nested")
    if call.unless is not None and call.unless(loaded.value):
        return _left(core, "unless")
    if loaded.cost_us < policy.min_cost * 1_000_000:
        return _left(core, "admission")
    if policy.min_uses > 1:
        uses = (core.uses.get(call.key) or 0) + 1
        core.uses.put(call.key, uses)
        if uses < policy.min_uses:
            return _left(core, "admission")
    return True


def _left(core: Core, reason: str) -> bool:
    core.statistics.left_unstored(reason)
    return False


def _refuse(core: Core, loaded: Loaded, reason: str) -> None:
    loaded.context.refused = reason
    core.statistics.left_unstored(reason)


def sealed(
    core: Core,
    call: Call,
    ids: Sequence[TagId],
    versions: dict[TagId, bytes],
    loaded: Loaded,
    row_version: int,
    life_ms: int,
) -> Entry | None:
    """Return the entry of a value under *versions*, fresh for *life_ms* (0 for ever), or None if it is not let in.

    Raises:
        CodecError: the value cannot be written.
    """
    policy = call.policy
    try:
        bits, payload = _packed(core, call, loaded.value)
    except InexactError as error:
        _refuse(core, loaded, "inexact")
        warn_inexact(core.namespace, error)
        return None
    if policy.max_bytes is not None and len(payload) > policy.max_bytes:
        _refuse(core, loaded, "size")
        return None
    if policy.admit is not None and not policy.admit(call.key, len(payload), loaded.cost_us / 1_000_000):
        _refuse(core, loaded, "admission")
        return None
    return Entry(
        codec=call.codec.codec_id | bits,
        ids=b"".join(ids),
        versions=b"".join(versions[tag] for tag in ids),
        named=len(call.tags),
        born_ms=loaded.born_ms,
        expires_ms=loaded.born_ms + life_ms if life_ms else 0,
        row_version=row_version,
        payload=payload,
        flags=policy.flags,
        cost_us=loaded.cost_us,
    )


def _packed(core: Core, call: Call, value: Any) -> tuple[int, bytes]:
    """Return the bytes of *value*, compressed if that pays, and the bits that say how."""
    dictionary = core.dictionaries[0] if core.dictionaries and core.compression == "zstd" else None
    encoded = call.codec.encode(value)
    return compress(encoded, call.policy.compress_above, core.compression, dictionary=dictionary)
