"""Every port of the library: what a cache server must be able to do, said without naming one.

A provider works for one namespace. Its methods are the *steps* of the algorithm, each at most one round
trip on a single server; what is decided between them stands in `staleproof.cache.plans`.
`AsyncProvider` has the same methods as coroutines, held equal by a test.
"""

from staleproof.ports.answers import (
    JOURNAL_HORIZON_MS,
    TRIM_EVERY,
    Begun,
    Claim,
    Deposit,
    JournalId,
    JournalPage,
    Keys,
    Observed,
    Snapshot,
    Want,
    journal_id,
    journal_order,
    journal_place,
    observed,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from staleproof.ports.async_provider import AsyncProvider
    from staleproof.ports.follower import Follower
    from staleproof.ports.provider import Provider
    from staleproof.ports.publisher import AsyncPublisher, Publisher, Receipt

_HOMES = {
    "AsyncProvider": "async_provider",
    "AsyncPublisher": "publisher",
    "Follower": "follower",
    "Provider": "provider",
    "Publisher": "publisher",
    "Receipt": "publisher",
}

__all__ = [
    "JOURNAL_HORIZON_MS",
    "TRIM_EVERY",
    "AsyncProvider",
    "AsyncPublisher",
    "Begun",
    "Claim",
    "Deposit",
    "Follower",
    "JournalId",
    "JournalPage",
    "Keys",
    "Observed",
    "Provider",
    "Publisher",
    "Receipt",
    "Snapshot",
    "Want",
    "journal_id",
    "journal_order",
    "journal_place",
    "observed",
]


def __getattr__(name: str) -> object:
    """Import the module that *name* lives in, once (PEP 562): most of it is for type checkers alone."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - at first use

    value: object = getattr(import_module(f"staleproof.ports.{home}"), name)
    globals()[name] = value
    return value
