"""What a function's response says about a batch of stream records, by Lambda's rules.

Success: an empty or null response, or an empty or null `batchItemFailures`. The lowest returned sequence number is
where the batch failed. Anything else, a wrong key, an empty, null or unknown identifier, is a failure of the whole
batch: a response that cannot be read must never pass for an acknowledgement.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from local.event_sources.retry import Batch, Failed, FailedFrom, Outcome, Succeeded

if TYPE_CHECKING:
    from local.function_host import Invocation

FAILURES = "batchItemFailures"
IDENTIFIER = "itemIdentifier"


def judge(invocation: Invocation, batch: Batch, *, report_failures: bool) -> Outcome:
    """Return the outcome of delivering *batch*.

    Args:
        invocation: what came back.
        batch: what was sent.
        report_failures: the mapping has `ReportBatchItemFailures`; without it every response is a success.
    """
    if invocation.error is not None:
        return Failed(f"{invocation.error.type}: {invocation.error.message}")
    if not report_failures or not invocation.payload:
        return Succeeded()
    return _read(invocation.payload, batch)


def _read(response: Any, batch: Batch) -> Outcome:
    if not isinstance(response, dict) or FAILURES not in response:
        return _unusable(f"the response must be an object with {FAILURES!r}")
    failures = response[FAILURES]
    if not failures:
        return Succeeded()
    if not isinstance(failures, list):
        return _unusable(f"{FAILURES!r} must be a list")
    sent = {record.sequence for record in batch.records}
    named = [item.get(IDENTIFIER) if isinstance(item, dict) else None for item in failures]
    unknown = [name for name in named if not isinstance(name, str) or name not in sent]
    if unknown:
        return _unusable(f"{IDENTIFIER!r} must be a sequence number of the batch, not {unknown[0]!r}")
    return FailedFrom(min((str(name) for name in named), key=int))


def _unusable(reason: str) -> Failed:
    return Failed(reason, unhandled=False)
