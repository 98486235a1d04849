"""The port of a store that letters, and what AWS gave up delivering, are redriven from.

Theory of operation. What is taken stays in the store; it goes by `remove`, after it was applied, or by `replace`, which
stores its successors first. So a death at any point leaves it where it is, or leaves it beside its successors: it is
redriven once more, which is harmless (P4), and nothing is lost (P3).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from staleproof_pipeline.dead_letter import DeadLetter


class Held(NamedTuple):
    """A message of a store, or all those that carry one letter.

    Attributes:
        name: what the store calls it, for people.
        texts: bodies, whatever they hold.
        receipts: by which the store knows them.
        at_ms: when it was stored, in UTC milliseconds; 0 if the store does not tell.
    """

    name: str
    texts: tuple[str, ...]
    receipts: tuple[str, ...]
    at_ms: int = 0


class LetterStore(Protocol):
    """Where letters are redriven from.

    Its methods raise `ProviderUnavailableError` or `DeliveryError` for what passes by itself, and `ConfigurationError`
    or `ProviderRejectedError` for what does not.
    """

    def take(self) -> list[Held]:
        """Return some that were not returned before, if the store can tell; none at its end."""
        ...

    def remove(self, held: Sequence[Held]) -> None:
        """They are dealt with."""
        ...

    def replace(self, held: Held, letters: Sequence[DeadLetter]) -> None:
        """Store *letters*, then remove *held*."""
        ...

    def release(self, held: Sequence[Held]) -> None:
        """They stay: others may take them."""
        ...

    def close(self) -> None:
        """Write what is still to be written."""
        ...
