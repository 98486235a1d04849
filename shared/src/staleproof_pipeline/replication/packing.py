"""Invalidations packed into bus entries, each far below what a bus takes.

EventBridge bounds an entry, and all entries of one request together, at 256 kB on older buses and 1 MB on newer
ones. Entries here stay below 200 kB and requests below 240 kB, so both take them, and so does a queue behind.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from msgspec.structs import replace

from staleproof.events.invalidation import encode
from staleproof_pipeline.sources.eventbridge import SCHEMA

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from staleproof.events import Invalidation

MAX_ENTRY = 200_000
MAX_REQUEST = 240_000
MAX_ENTRIES = 10
MAX_TOGETHER = 200
"""Invalidations of one entry: what one failed delivery delays."""

HEADROOM = 512
"""Bytes of an entry that are no invalidation: source, detail-type, schema, origin."""


class Parcel(NamedTuple):
    """One entry's detail, and the numbers of the records in it; a record may be spread over several."""

    detail: str
    numbers: tuple[int, ...]


def parcels(records: Sequence[Invalidation], origin: str, limit: int = MAX_ENTRY) -> Iterator[Parcel]:
    """Yield *records* as details of at most *limit* bytes, in order."""
    numbers: list[int] = []
    texts: list[str] = []
    size = 0
    for number, raw in _encoded(records, limit - HEADROOM):
        if texts and (size + len(raw) + 1 > limit - HEADROOM or len(texts) == MAX_TOGETHER):
            yield _parcel(texts, numbers, origin)
            numbers, texts, size = [], [], 0
        numbers.append(number)
        texts.append(raw.decode())
        size += len(raw) + 1
    if texts:
        yield _parcel(texts, numbers, origin)


def _encoded(records: Sequence[Invalidation], limit: int) -> Iterator[tuple[int, bytes]]:
    for number, record in enumerate(records):
        # Where it was applied the entries are the new ones already; elsewhere they are what it outdated.
        shipped = replace(record, superseded=False) if record.superseded else record
        for piece in _pieces(shipped, limit):
            yield number, piece


def _pieces(record: Invalidation, limit: int) -> Iterator[bytes]:
    """The wire form, halved until every piece fits; one target always does."""
    raw = encode(record)
    targets = max(len(record.tags), len(record.keys))
    if len(raw) <= limit or targets <= 1:
        yield raw
        return
    for half in record.parts((targets + 1) // 2):
        yield from _pieces(half, limit)


def _parcel(texts: Iterable[str], numbers: Sequence[int], origin: str) -> Parcel:
    detail = f'{{"schema":{SCHEMA},"origin":"{origin}","invalidations":[{",".join(texts)}]}}'
    return Parcel(detail, tuple(numbers))


def requests(each: Iterable[Parcel]) -> Iterator[list[Parcel]]:
    """Yield parcels grouped as requests take them."""
    request: list[Parcel] = []
    size = 0
    for parcel in each:
        length = len(parcel.detail.encode()) + HEADROOM
        if request and (len(request) == MAX_ENTRIES or size + length > MAX_REQUEST):
            yield request
            request, size = [], 0
        request.append(parcel)
        size += length
    if request:
        yield request
