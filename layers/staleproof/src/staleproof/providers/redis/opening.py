"""From an address to connections and readers, for either face. Nothing is connected yet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof.providers.redis.endpoint import unread, without_cluster

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence


class Kinds(NamedTuple):
    """What a face is made of.

    Attributes:
        single: makes connections to one server of an address.
        clustered: makes connections to a cluster of an address.
        nearest: makes one reader of several.
    """

    single: Callable[..., Any]
    clustered: Callable[..., Any]
    nearest: Callable[[Sequence[Any]], Any]


def opened(
    kinds: Kinds,
    url: str,
    reader_url: str | Sequence[str] | None,
    reader: Callable[[Any], Any],
    *,
    cluster: bool,
    **options: Any,
) -> tuple[Any, Any]:
    """Return connections to *url*, and the reader, or None, that *reader* makes of connections to each *reader_url*.

    Raises:
        ConfigurationError: an address cannot be read, or a cluster is to have a reader.
    """
    url, asked = without_cluster(url)
    if cluster or asked:
        connections = kinds.clustered(url, **options)
        unread(reader_url)
        return connections, None
    places = [reader_url] if isinstance(reader_url, str) else reader_url or ()
    readers = [reader(kinds.single(place, **options)) for place in places]
    several = kinds.nearest(readers) if len(readers) > 1 else None
    return kinds.single(url, **options), several or (readers[0] if readers else None)
