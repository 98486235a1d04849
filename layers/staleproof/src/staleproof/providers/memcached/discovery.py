r"""Auto discovery: the list of a cluster's nodes, as ElastiCache's configuration endpoint and every node of it tell it.

The question is `config get cluster`, before engine 1.4.14 `get AmazonElastiCache:cluster`. The answer::

    CONFIG cluster 0 147\r\n
    12\n
    host1|10.82.235.120|11211 host2|10.80.249.27|11211\n\r\n
    END\r\n

The number is the list's version; it grows with every node that is added or removed. The data block's length counts both
lines with their ends, and a CRLF closes it. An address may be empty: `host||11211`. (Amazon ElastiCache User Guide,
"Adding auto discovery to your client library".)
"""

from __future__ import annotations

import re
from typing import NamedTuple

from staleproof.errors import ProviderRejectedError
from staleproof.providers.memcached.members import Member

REQUEST = b"config get cluster\r\n"
OLDER_REQUEST = b"get AmazonElastiCache:cluster\r\n"
MAX_BYTES = 1_048_576
MAX_LINE = 512
MAX_HOST = 255
MAX_PORT, MAX_PORT_DIGITS = 65_536, 5
MAX_VERSION = 2**63 - 1
_HEAD = re.compile(rb"(?:CONFIG cluster|VALUE AmazonElastiCache:cluster) \d+ (\d{1,7})(?: \d+)?\r\n")
_END = b"\r\nEND\r\n"


class Listing(NamedTuple):
    """A cluster's members, and the version of the list."""

    version: int
    members: tuple[Member, ...]


class NotUnderstoodError(Exception):
    """The server does not know this question."""


def answer(received: bytes) -> Listing | None:
    """Return what *received* tells, None as long as it is not whole.

    Raises:
        NotUnderstoodError: the server knows no such command, or has no such key.
        ProviderRejectedError: this is no answer to the question.
    """
    if len(received) > MAX_BYTES:
        raise malformed(received, f"it is longer than {MAX_BYTES} bytes")
    line = received[:MAX_LINE].partition(b"\n")
    if not line[1]:
        if len(received) >= MAX_LINE:
            raise malformed(received, "its first line does not end")
        return None
    if line[0].startswith((b"ERROR", b"CLIENT_ERROR", b"END")):
        raise NotUnderstoodError
    head = _HEAD.match(received)
    if head is None:
        raise malformed(received, "its first line is no CONFIG or VALUE line")
    stop = head.end() + int(head.group(1))
    if len(received) < stop + len(_END):
        return None
    if received[stop : stop + len(_END)] != _END:
        raise malformed(received, "END is not where the length says")
    return listing(received[head.end() : stop])


def listing(block: bytes) -> Listing:
    """Return what the data *block* tells."""
    version, _, nodes = block.partition(b"\n")
    try:
        members = tuple(map(_member, nodes.decode("ascii").split()))
        number = int(version.strip())
    except ValueError as error:
        raise malformed(block, str(error)) from error
    if not members or not 0 <= number <= MAX_VERSION:
        raise malformed(block, "it names no node, or has no version")
    if len({member.name for member in members}) != len(members):
        raise malformed(block, "it names a node twice")
    return Listing(number, members)


def _member(text: str) -> Member:
    host, ip, port = text.split("|")
    if not host and not ip:
        raise ValueError(f"{text[:80]!r} has neither a name nor an address")
    if len(host) > MAX_HOST or not host.isprintable() or not ip.isprintable():
        raise ValueError(f"{text[:80]!r} has a name that no node can have")
    if not port.isdigit() or not 0 < int(port[:MAX_PORT_DIGITS]) < MAX_PORT or len(port) > MAX_PORT_DIGITS:
        raise ValueError(f"{text[:80]!r} has no port")
    return Member(host or ip, int(port), ip)


def malformed(received: bytes, why: str) -> ProviderRejectedError:
    """Return what to raise for an answer that cannot be read."""
    return ProviderRejectedError(
        f"discovery: the answer {received[:120]!r} cannot be read: {why}; "
        "give the cluster's configuration endpoint (it has .cfg. in its name)"
    )
