"""Which letters are redriven: `reason=malformed source=kafka since=2h contains=product-42`. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

from staleproof.errors import ConfigurationError
from staleproof.policies.duration import seconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from staleproof_pipeline.redriving.parcel import Parcel

NAMES = ("reason", "source", "channel", "contains", "since", "until")


class LetterFilter(NamedTuple):
    """All of them must hold; of several values of one, any.

    Attributes:
        reason: the letter's reason, whole.
        source: its source, whole.
        channel: a piece of what carried it.
        contains: a piece of the stored text.
        since_ms: it was given up then or later, in UTC milliseconds; what tells no time does not pass.
        until_ms: it was given up before.
    """

    reason: tuple[str, ...] = ()
    source: tuple[str, ...] = ()
    channel: tuple[str, ...] = ()
    contains: tuple[str, ...] = ()
    since_ms: int = 0
    until_ms: int = 0

    @classmethod
    def of(cls, texts: Iterable[str], now_ms: int) -> LetterFilter:
        """Read conditions as people write them; durations count back from *now_ms*.

        Raises:
            ConfigurationError: one cannot be read.
        """
        told: dict[str, list[str]] = {name: [] for name in NAMES}
        for text in texts:
            name, _, value = text.partition("=")
            if name not in told or not value:
                raise ConfigurationError(
                    f"filter {text[:80]!r}: write NAME=VALUE with one of {', '.join(NAMES)}, such as reason=malformed"
                )
            told[name].append(value)
        return cls(
            tuple(told["reason"]),
            tuple(told["source"]),
            tuple(told["channel"]),
            tuple(told["contains"]),
            max((_instant(each, now_ms) for each in told["since"]), default=0),
            min((_instant(each, now_ms) for each in told["until"]), default=0),
        )

    def passes(self, parcel: Parcel, texts: Sequence[str], stored_ms: int) -> bool:
        """Say whether *parcel*, stored at *stored_ms* as *texts*, is to be redriven."""
        at_ms = parcel.at_ms or stored_ms
        return (
            (not self.reason or parcel.reason in self.reason)
            and (not self.source or parcel.source in self.source)
            and (not self.channel or any(each in parcel.channel for each in self.channel))
            and (not self.contains or any(each in text for each in self.contains for text in texts))
            and (not self.since_ms or at_ms >= self.since_ms)
            and (not self.until_ms or 0 < at_ms < self.until_ms)
        )


def _instant(text: str, now_ms: int) -> int:
    """Read `2h`, before now, or an instant of ISO 8601; one without a zone is UTC."""
    try:
        return now_ms - round(seconds(text, "filter") * 1_000)
    except ConfigurationError:
        pass
    try:
        found = datetime.fromisoformat(text)
        return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1_000)
    except (ValueError, OverflowError) as error:
        raise ConfigurationError(
            f"filter: {text[:40]!r} is no time; write a duration before now, such as 2h, or 2026-05-01T12:00:00Z"
        ) from error
