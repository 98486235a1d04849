"""Logs, metrics and traces of the functions, by Powertools.

Metrics are EMF documents on standard output. Their dimensions are `service` and `region` alone; keys, tags, tables
and rules are never a dimension, for their number has no bound.

========================  ===========================================================================
`Applied` … `Failed`      records by outcome
`InvalidationLag`         milliseconds from a change to its invalidation here
`Shipped`, `ShipFailed`   records handed to links, and those that a link did not take
`ReplicationLag`          age in milliseconds of the oldest record that a link still owes
`RulesAccepted`           times that other rules began to hold
`RulesRefused`            times that rules were wrong or out of reach, and the last good ones went on
`Shadowed`                invalidations that rules in shadow mode would have made
`JournalGap`              times that records were lost before they were shipped
========================  ===========================================================================
"""

from __future__ import annotations

import functools
import os
import traceback
from typing import TYPE_CHECKING, Any, TypeVar, cast

from aws_lambda_powertools import Logger, Metrics, Tracer
from aws_lambda_powertools.metrics import MetricUnit

from staleproof.errors import CacheError, EventError
from staleproof_pipeline.errors import DeliveryError, FieldError, UnforeseenEventError
from staleproof_pipeline.report import Outcome

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from staleproof.events import Invalidation
    from staleproof_pipeline.consuming.feed import Progress
    from staleproof_pipeline.report import RecordOutcome, Report

R = TypeVar("R")

NAMESPACE = "Staleproof"
MAX_SAMPLES = 100
"""Values of one metric that an invocation publishes; CloudWatch takes as many in one document."""

MAX_PATH = 256
MAX_ERROR = 2_048
"""Characters of an error that a log tells."""

MAX_TOLD = 20
"""Records of one batch that are logged one by one."""

_NAMES = {
    Outcome.APPLIED: "Applied",
    Outcome.IGNORED: "Ignored",
    Outcome.DEAD_LETTERED: "DeadLettered",
    Outcome.FAILED: "Failed",
}


class Observability:
    """The `Observer` of a function.

    Args:
        region: the metrics' dimension beside the service.
        logger: writes JSON lines.
        metrics: collects and writes EMF.
        tracer: wraps the handler in an X-Ray segment.
        service: what this is called where the environment does not say it.
        samples: values of one metric that a batch adds at most.
    """

    def __init__(
        self,
        region: str,
        *,
        logger: Logger | None = None,
        metrics: Metrics | None = None,
        tracer: Tracer | None = None,
        service: str | None = None,
        samples: int = MAX_SAMPLES,
    ) -> None:
        service = service if "POWERTOOLS_SERVICE_NAME" not in os.environ else None
        self.logger = logger or Logger(service=service)
        self._metrics = metrics or Metrics(namespace=NAMESPACE, service=service)
        self._samples = samples
        self._metrics.set_default_dimensions(region=region)
        self._tracer = tracer or Tracer(auto_patch=False)
        self._told: set[str] = set()
        self._progress: Progress | None = None

    def handler(self, function: Callable[[Any, Any], R]) -> Callable[[Any, Any], R]:
        """Decorate a Lambda handler: its logs get the request's context, its metrics are written when it ends."""
        traced = self._tracer.capture_lambda_handler(function, capture_response=False)

        @functools.wraps(function)
        def measured(event: Any, context: Any) -> R:
            try:
                return cast("R", traced(event, context))
            finally:
                self.flush()

        logged: Callable[[Any, Any], R] = self.logger.inject_lambda_context(measured)
        return logged

    def flush(self) -> None:
        """Write the metrics collected so far. Powertools' own decorator warns where there are none."""
        self._tell_progress()
        if self._metrics.metric_set:
            self._metrics.flush_metrics()

    def batch(self, report: Report, source: str, lags_ms: Sequence[int]) -> None:
        """See `Observer.batch`."""
        counts = report.counts()
        for outcome, name in _NAMES.items():
            self._count(name, counts[outcome])
        for lag in _sampled(lags_ms, self._samples):
            self._metrics.add_metric("InvalidationLag", MetricUnit.Milliseconds, lag)
        for each in _notable(report):
            told = {"outcome": each.outcome.value, "source": source, **_told(each)}
            if each.outcome is Outcome.FAILED:
                self.logger.error("record failed", extra=told)
            else:
                self.logger.warning("record dead-lettered", extra=told)
        self.logger.debug("batch", extra={"source": source, "rules": report.rules, **counts})

    def noted(self, note: str) -> None:
        """See `Observer.noted`; each note once a process."""
        if note not in self._told and len(self._told) < 1_000:  # noqa: PLR2004 - a bound, not a quantity
            self._told.add(note)
            self.logger.warning(note)

    def shipped(self, link: str, delivered: int, failed: int, error: str) -> None:
        """See `Observer.shipped`."""
        self._count("Shipped", delivered)
        self._count("ShipFailed", failed)
        if error:
            self.logger.warning(
                "a link is in trouble; the follower makes up for it",
                extra={"link": link, "failed": failed, "error": error[:MAX_ERROR]},
            )

    def followed(self, link: str, lag_ms: int) -> None:
        """See `Observer.followed`."""
        self._metrics.add_metric("ReplicationLag", MetricUnit.Milliseconds, lag_ms)
        if lag_ms:
            self.logger.warning("a link owes records", extra={"link": link, "lag_ms": lag_ms})

    def reloaded(self, digest: str, error: str) -> None:
        """See `Observer.reloaded`."""
        self._count("RulesRefused" if error else "RulesAccepted", 1)
        told = {"rules": digest, **({"error": error[:MAX_ERROR]} if error else {})}
        if error:
            self.logger.error("new rules do not hold; the last good ones go on", extra=told)
        else:
            self.logger.info("rules hold", extra=told)

    def shadowed(self, invalidation: Invalidation) -> None:
        """See `Observer.shadowed`. Counts, no texts: these may hold what a record holds."""
        self._count("Shadowed", 1)
        told = {
            "rules": invalidation.cause.rules[:MAX_TOLD],
            "namespace": invalidation.namespace,
            "tags": len(invalidation.tags),
            "keys": len(invalidation.keys),
            "clear": invalidation.clear,
        }
        self.logger.info("in shadow mode: nothing was invalidated", extra=told)

    def gap(self, link: str, namespace: str) -> None:
        """See `Observer.gap`."""
        self._count("JournalGap", 1)
        self.logger.error(
            "journal records were lost before they were shipped; the peers clear the namespace",
            extra={"link": link, "namespace": namespace},
        )

    def progressed(self, source: str, progress: Progress) -> None:  # noqa: ARG002 - a service has one source
        """See `Observer.progressed`."""
        self._progress = progress

    def paused(self, source: str, error: str) -> None:
        """See `Observer.paused`."""
        self._count("Paused", 1)
        self.logger.warning(
            "nothing is taken for a while; what was taken waits",
            extra={"source": source, "error": error[:MAX_ERROR]},
        )

    def resumed(self, source: str) -> None:
        """See `Observer.resumed`."""
        self.logger.info("it goes on", extra={"source": source})

    def lost(self, source: str, records: int, told: str) -> None:
        """See `Observer.lost`."""
        self._count("SourceGap", 1)
        self._count("Lost", records)
        self.logger.error(
            "changes were lost before they were read; every namespace is cleared",
            extra={"source": source, "records": records, "where": told},
        )

    def _tell_progress(self) -> None:
        progress, self._progress = self._progress, None
        if progress is None:
            return
        if progress.backlog is not None:
            self._count("Backlog", progress.backlog)
        self._count("Pending", progress.pending)
        if progress.age_ms is not None:
            self._metrics.add_metric("SourceAge", MetricUnit.Milliseconds, progress.age_ms)

    def _count(self, name: str, value: int) -> None:
        self._metrics.add_metric(name, MetricUnit.Count, value)


def _notable(report: Report) -> Iterator[RecordOutcome]:
    notable = (each for each in report.outcomes if each.outcome in {Outcome.FAILED, Outcome.DEAD_LETTERED})
    for _, each in zip(range(MAX_TOLD), notable, strict=False):
        yield each


def _told(each: RecordOutcome) -> dict[str, str]:
    """What a log says of *each*: never a value of the record, which only the dead letter holds.

    The messages of errors about records show values. Those of servers, queues and buses show none.
    """
    error = each.error
    fault = _fault(error)
    told = {"kind": type(fault or error).__name__}
    if isinstance(error, EventError):
        told["reason"] = error.reason
    if isinstance(error, FieldError):
        told["path"] = error.path[:MAX_PATH]
    if each.outcome is Outcome.FAILED and isinstance(error, CacheError):
        told["error"] = str(error)[:MAX_ERROR]
    if fault is not None:
        # Where it happened, without what it said: its message may quote the record.
        told["stack"] = "".join(traceback.format_tb(fault.__traceback__))[-MAX_ERROR:]
    return told


def _fault(error: Exception | None) -> BaseException | None:
    """The fault behind an error if nobody foresaw it; a foreseen one needs no stack trace."""
    if error is None or not isinstance(error, CacheError):
        return error
    return error.__cause__ if isinstance(error, (UnforeseenEventError, DeliveryError)) else None


def _sampled(lags_ms: Sequence[int], most: int) -> list[int]:
    """At most *most* of *lags_ms*, the largest always."""
    ordered = sorted(lags_ms, reverse=True)
    step = -(-len(ordered) // most) or 1
    return ordered[::step]
