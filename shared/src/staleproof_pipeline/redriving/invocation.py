"""What an invocation of the function `redrive` wants, and the answer that it gets.

    {"from": "dead-letters", "filter": ["reason=malformed", "since=2d"], "limit": 100, "rate": 50,
     "dry_run": true, "clear_lost": false}

Everything may be left out. `from` is one of the places that the function's settings name, and no address: who may
invoke it cannot make it read, or delete, anything else.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from staleproof.errors import CacheError, ConfigurationError
from staleproof_pipeline.redriving import opening
from staleproof_pipeline.redriving.step import Fate, Step, counts

if TYPE_CHECKING:
    from collections.abc import Callable

    from staleproof_pipeline.observability import Observability
    from staleproof_pipeline.redriving.redriver import Redriver
    from staleproof_pipeline.settings import Settings

RESERVE_MS = 10_000
"""What is left of the time: a batch of a stream may take a while to be read and applied."""

MOST_TOLD = 50
PLACES = ("dead-letters", "undelivered", "batches")


class Order(BaseModel):
    """A validated event."""

    model_config = ConfigDict(extra="forbid", strict=True)

    place: str = Field("dead-letters", alias="from")
    filter: list[str] = []
    limit: int | None = Field(None, gt=0)
    rate: float | None = Field(None, gt=0)
    dry_run: bool = False
    clear_lost: bool = False


class Redriving(NamedTuple):
    """What the function runs.

    Attributes:
        settings: name the places.
        observability: logs, metrics and traces.
        make: makes what redrives, of settings and what is wanted.
    """

    settings: Settings
    observability: Observability
    make: Callable[..., Redriver] = opening.redriver

    def run(self, event: Any, remaining_ms: Callable[[], int]) -> dict[str, Any]:
        """Redrive until *remaining_ms* says that little time is left; return the counts and what was not done.

        Raises:
            ConfigurationError: the event or a setting is wrong.
        """
        order = _order(event)
        wanted = opening.Wanted(
            self._address(order.place),
            order.filter,
            dry=order.dry_run,
            clear_lost=order.clear_lost,
            rate=order.rate,
        )

        def going() -> bool:
            return remaining_ms() > RESERVE_MS

        def pause(seconds: float) -> None:
            time.sleep(max(0.0, min(seconds, (remaining_ms() - RESERVE_MS) / 1_000)))

        redriver = self.make(self.settings, wanted, pause=pause, observability=self.observability)
        steps: list[Step] = []
        stopped = ""
        try:
            steps.extend(redriver.run(limit=order.limit, going=going))
        except ConfigurationError:
            raise
        except CacheError as error:
            stopped = str(error)
        return {**counts(steps), "stopped": stopped, "more": not going(), "letters": _told(steps, order)}

    def _address(self, place: str) -> str:
        if place == "dead-letters":
            return ""
        if place == "undelivered":
            return self.settings.require("undelivered_queue_url")
        if place == "batches":
            return f"s3://{self.settings.require('undelivered_bucket')}/"
        raise ConfigurationError(
            f"from={place[:80]!r}: there is no such place; use one of {', '.join(PLACES)}"
        )


def _order(event: Any) -> Order:
    try:
        return Order.model_validate(event if event is not None else {})
    except ValidationError as error:
        told = "; ".join(
            f"{'.'.join(map(str, each['loc'])) or 'event'}: {each['msg']}" for each in error.errors()
        )
        raise ConfigurationError(
            f'redrive: {told}; send such as {{"from": "dead-letters", "filter": ["reason=malformed"], "limit": 100}}'
        ) from error


def _told(steps: list[Step], order: Order) -> list[dict[str, Any]]:
    """Return what stays, of a dry run everything."""
    kept = (Fate.AGAIN, Fate.TRIMMED, Fate.UNREADABLE)
    found = [each for each in steps if each.fate is not Fate.PASSED and (order.dry_run or each.fate in kept)]
    return [each.document() for each in found[:MOST_TOLD]]
