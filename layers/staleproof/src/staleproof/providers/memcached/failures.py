"""What sockets raise, in our words; and how requests are cut into pieces that a server can take."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from staleproof.errors import ProviderError, ProviderRejectedError, ProviderUnavailableError

if TYPE_CHECKING:
    from collections.abc import Sequence

PIECE = 500
"""Requests that are sent before their replies are read. A server that cannot get rid of its replies reads no further:
so what is sent at once must fit the sockets' buffers, unless it is values."""

RECORD = 8_192
"""Bytes of small requests that share a TLS record; one that is larger ends its own."""

TIMEOUTS = (TimeoutError, BlockingIOError)
"""The server is slow or hangs: trying again at once would only wait again."""


class LostError(OSError):
    """The server closed the connection."""


def pieces(requests: Sequence[bytes]) -> list[Sequence[bytes]]:
    """Cut *requests* into runs that are sent at once."""
    if len(requests) <= PIECE:
        return [requests]
    return [requests[start : start + PIECE] for start in range(0, len(requests), PIECE)]


def records(requests: Sequence[bytes]) -> list[bytes]:
    """Return what is to be written one by one to a TLS connection, so that no value ends within a record.

    Memcached reads a long value to its last byte and then waits for the socket: what follows in the same record lies
    in the TLS library by then, and is not seen until more arrives (met with 1.6.18).
    """
    writes: list[bytes] = []
    small: list[bytes] = []
    size = 0
    for request in requests:
        small.append(request)
        size += len(request)
        if size > RECORD:
            writes.append(b"".join(small))
            small, size = [], 0
    return [*writes, b"".join(small)] if small else writes


def translate(error: Exception, where: str) -> ProviderError:
    """Return our error for what a socket raised; *where* names the node."""
    if isinstance(error, ProviderError):
        return error if where in str(error) else type(error)(f"{where}: {error}")
    if isinstance(error, ssl.SSLCertVerificationError):
        return ProviderRejectedError(
            f"memcached: {where} has a certificate that cannot be verified: {error.verify_message}; "
            "give its authority with ssl_ca_certs, and its name as the certificate has it"
        )
    if isinstance(error, TIMEOUTS):
        return ProviderUnavailableError(
            f"memcached: {where} cannot be reached: no answer in time; retry, and raise the timeout if it lasts"
        )
    return ProviderUnavailableError(
        f"memcached: {where} cannot be reached: {error}; retry, and check endpoint, security group and TLS if it lasts"
    )


def busy(where: str, connections: int, timeout: float) -> ProviderUnavailableError:
    """Return what to raise when every connection stayed busy."""
    return ProviderUnavailableError(
        f"all {connections} connections to {where} stayed busy for {timeout} s; "
        "raise max_connections or lower the concurrency, then retry"
    )
