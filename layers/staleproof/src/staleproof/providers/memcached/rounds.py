"""`Round`: requests for several nodes at once, and the places of their replies."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, TypeVar

if TYPE_CHECKING:
    from collections.abc import Generator, Mapping

    from staleproof.providers.memcached.wire import Reply

R = TypeVar("R")
Requests: TypeAlias = "dict[str, list[bytes]]"
Answers: TypeAlias = "Mapping[str, list[Reply]]"
Step: TypeAlias = "Generator[Requests, Answers, R]"
"""A step of the algorithm: yields requests by node, receives replies by node, in the same order."""

Ticket: TypeAlias = "tuple[str, int]"


class Round:
    """Requests that are sent to all their nodes at once; each node executes its own in order."""

    __slots__ = ("requests",)

    def __init__(self) -> None:
        self.requests: Requests = {}

    def add(self, node: str, request: bytes) -> Ticket:
        """Add a request; return where its reply will be."""
        some = self.requests.setdefault(node, [])
        some.append(request)
        return node, len(some) - 1


def at(answers: Answers, ticket: Ticket) -> Reply:
    """Return the reply that *ticket* stands for."""
    node, place = ticket
    return answers[node][place]
