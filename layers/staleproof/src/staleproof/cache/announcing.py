"""What the log tells of an outage: that a breaker opened and that it closed, once each; no call, no key, no value."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from staleproof.policies.breaker import Breaker


def announce(breaker: Breaker, whose: str) -> None:
    """Have the log tell of *breaker*, which is *whose*; one that several caches share is the first one's."""
    if breaker.listener is None:
        breaker.listener = partial(_tell, whose)


def _tell(whose: str, *, opened: bool, figure: float) -> None:
    import logging  # noqa: PLC0415 - most programs never need it, and a cold start pays for it

    log = logging.getLogger("staleproof")
    if opened:
        log.warning("%s did not answer %d times in a row; it is left alone, but for probes", whose, figure)
    else:
        log.info("%s answers again, after %.3f s", whose, figure)
