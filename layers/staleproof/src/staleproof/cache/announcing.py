"""What the log tells: that a breaker opened and that it closed, and what is never stored; no call, no key, no value."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from staleproof.errors import InexactError
    from staleproof.policies.breaker import Breaker

MAX_WARNINGS = 100
"""So many different results that are not stored are told of, each once."""

_warned: set[tuple[str, str]] = set()


def announce(breaker: Breaker, whose: str) -> None:
    """Have the log tell of *breaker*, which is *whose*; one that several caches share is the first one's."""
    if breaker.listener is None:
        breaker.listener = partial(_tell, whose)


def warn_inexact(namespace: str, error: InexactError) -> None:
    """Have the log tell, once, of values that are served and never stored; *error* names types and places only."""
    told = (namespace, str(error))
    if told in _warned or len(_warned) >= MAX_WARNINGS:
        return
    _warned.add(told)
    import logging  # noqa: PLC0415 - most programs never need it, and a cold start pays for it

    logging.getLogger("staleproof").warning("served, and not stored in %r: %s", *told)


def _tell(whose: str, *, opened: bool, figure: float) -> None:
    import logging  # noqa: PLC0415 - most programs never need it, and a cold start pays for it

    log = logging.getLogger("staleproof")
    if opened:
        log.warning("%s did not answer %d times in a row; it is left alone, but for probes", whose, figure)
    else:
        log.info("%s answers again, after %.3f s", whose, figure)
