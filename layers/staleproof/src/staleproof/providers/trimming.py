"""When a provider trims its journal by itself, so that it is bounded without a scheduler.

By chance, once in `TRIM_EVERY` invalidations: a count would begin anew in every process, and processes that live
shorter than that would never trim. A trim comes after invalidations that are applied already; so if it fails, that is
told once, and the next one makes up for it.
"""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

from staleproof.errors import ProviderError
from staleproof.ports import TRIM_EVERY

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType


_BITS = TRIM_EVERY.bit_length() - 1


def by_chance() -> bool:
    """Say yes once in `TRIM_EVERY` times."""
    return random.getrandbits(_BITS) == 0


class Trimming:
    """A context in which one provider trims; what fails there is logged, the first time.

    Args:
        namespace: whose journal it is, for the log.
        due: says whether to trim now; None for `by_chance`.
    """

    def __init__(self, namespace: str, due: Callable[[], bool] | None = None) -> None:
        self.due = due or by_chance
        self._namespace = namespace
        self._told = False

    def __enter__(self) -> None:
        """Nothing to begin."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if not isinstance(error, ProviderError | ValueError):
            return False
        if not self._told:
            import logging  # noqa: PLC0415 - most programs never need it, and a cold start pays for it

            self._told = True
            logging.getLogger("staleproof").warning(
                "the journal of %r could not be trimmed; later invalidations try again",
                self._namespace,
                exc_info=error,
            )
        return True
