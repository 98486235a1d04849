"""Rows of the tagged read and the tagged write: what three tags cost beside a plain GET and SET of the same size."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from benchmarks.figures import Figures
from benchmarks.measurement import Subject, compare, repeated
from benchmarks.stand import POLICY, RAW_KEY, VALUE, BenchmarkError
from staleproof.codecs import MsgpackCodec
from staleproof.entry import Entry, encode
from staleproof.tags import ROOT, tag_id

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.stand import Stand
    from staleproof.ports import Provider

TAGS = ["product:{product_id}", "catalog", "brand:7"]
ID = 42


def read_vs_get(stand: Stand, seconds: float) -> Figures:
    """Compare a decorated function's strict hit, three tags and no near cache, with our raw GET."""
    return _read(stand, stand.raw_get(), seconds)


def read_vs_redispy(stand: Stand, seconds: float) -> Figures:
    """Compare the same hit with `client.get` of redis-py."""
    client = stand.client
    return _read(stand, Subject(repeated(lambda: client.get(RAW_KEY))), seconds)


def _read(stand: Stand, reference: Subject, seconds: float) -> Figures:
    loads: list[int] = []

    @stand.cache.cacheable("product:{product_id}", tags=TAGS)
    def product(product_id: int) -> bytes:
        loads.append(product_id)
        return VALUE

    product(ID)
    loads.clear()
    trips = stand.round_trips(lambda: product(ID))
    measured = compare(Subject(repeated(lambda: product(ID))), reference, seconds=seconds)
    if loads:
        raise BenchmarkError(
            f"{len(loads)} of the tagged reads were misses; the server lost an entry or a tag"
        )
    return Figures.of(measured, _trips(trips))


def write_vs_set(stand: Stand, seconds: float) -> Figures:
    """Compare the store that ends a fill, three tags and under a lease, with our raw SET."""
    lease, lend = _lease(stand)
    write = _store(stand.provider, lease)
    lend(1)
    write()  # a server that meets the script for the first time takes one more round trip
    lend(1)
    trips = stand.round_trips(write)
    if trips != 1:
        raise BenchmarkError(f"a tagged write took {trips} round trips; it must take one")
    # The reference has the same untimed command before it, so both find the connection and the caches alike.
    ours = Subject(repeated(write), prepare=lend, number=1, samples=25)
    return Figures.of(
        compare(ours, stand.raw_set(lend, number=1)._replace(samples=25), seconds=seconds), _trips(trips)
    )


def _lease(stand: Stand) -> tuple[bytes, Callable[[int], object]]:
    """Return a lease's name, and what takes it: `Provider.begin` less the snapshot."""
    lease = os.urandom(12)
    name = stand.provider.keys.lease(_KEY)
    return lease, lambda _: stand.send(("SET", name, lease, "PX", POLICY.lease_ms))


_KEY = "product:7"
_codec: MsgpackCodec[bytes] = MsgpackCodec(bytes)


def _store(provider: Provider, lease: bytes) -> Callable[[], None]:
    ids = [ROOT, *(tag_id(tag.format(product_id=7)) for tag in TAGS)]
    snapshot = provider.snapshot(ids, POLICY.tag_ttl_ms, guard=False)
    entry = encode(
        Entry(
            codec=MsgpackCodec.codec_id,
            ids=b"".join(ids),
            versions=b"".join(snapshot.versions),
            named=len(ids),
            born_ms=0,
            expires_ms=0,
            row_version=0,
            payload=_codec.encode(VALUE),
        )
    )

    def store() -> None:
        if not provider.store(_KEY, entry, POLICY.ttl_ms, lease):
            raise BenchmarkError(
                "a tagged write found its lease gone; the machine slept for longer than a lease"
            )

    return store


def _trips(number: int) -> str:
    return f"{number} round trip" + ("s" if number > 1 else "")
