"""Direct invocation: a published message, or a list of them, handed to a function as its event."""

from __future__ import annotations

from typing import Any

from staleproof_pipeline.change import Source
from staleproof_pipeline.sources import Parsed, RecordSource, payload, published
from staleproof_pipeline.sources.carried import Carrier
from staleproof_pipeline.sources.fields import wrong

_CARRIER = Carrier(Source.APPLICATION, channel="", id="")


def parse(raw: Any) -> Parsed:
    """Return what the messages say.

    Raises:
        MalformedEventError: *raw* is no published message and no list of them.
        EventError: it can never be read.
    """
    if isinstance(raw, list):
        return payload.each(raw, lambda one, at: _message(one, f"[{at}]"))
    return _message(raw, "event")


SOURCE = RecordSource("direct", parse, ordered=False)


def _message(raw: Any, path: str) -> Parsed:
    if not published.is_published(raw):
        raise wrong(
            path,
            raw,
            'a published message ({"staleproof": "change", ...} or {"staleproof": "invalidate", ...})',
        )
    return published.read(raw, _CARRIER)
