"""How long a question takes: bare, and on the library's own ways to read, store and invalidate."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from staleproof.cli.doctor_finding import Finding, fine, note, warn
from staleproof.errors import ProviderError, ProviderRejectedError
from staleproof.events.invalidation import Invalidation, new_id
from staleproof.providers.redis import RedisProvider
from staleproof.tags import ROOT, tag_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from staleproof.cli.doctor_patient import Patient

SLOW_MS = 2.0
"""A round trip within one region's VPC takes less than this, across zones too."""

UNEVEN_MS = 20.0
VALUE_BYTES = 1_024
LEASE_MS = 60_000
ROUNDS_FOR_PATHS = 5
"""So many pings come to one round over the longer ways."""


def latency(patient: Patient, samples: int) -> Iterator[Finding]:
    """Measure *samples* pings, and fewer rounds of reading, storing and invalidating."""
    _timed(samples // 10 + 1, lambda: patient.ask("PING"))  # what a first one costs is told elsewhere
    ping = _timed(samples, lambda: patient.ask("PING"))
    middle, most = patient.measured["ping_p50_ms"], patient.measured["ping_p99_ms"] = ping
    found = f"a round trip takes {middle:.2f} ms, at most {most:.2f} ms in 99 of 100"
    if middle > SLOW_MS:
        means = "every read that no near cache answers takes as long"
        yield warn(
            "latency", found, means, "run in the cache's region and zone, or give policies a staleness"
        )
    elif most > UNEVEN_MS:
        means = "single callers wait; the timeout must be above that"
        yield warn(
            "latency", found, means, "see to the load of this host and of the cache (EngineCPUUtilization)"
        )
    else:
        yield fine("latency", found)
    if patient.cluster and not patient.clustered:
        yield note("paths", "reading and storing were not measured: the address does not say cluster=true")
    else:
        yield from _paths(patient, max(1, samples // ROUNDS_FOR_PATHS))


def _paths(patient: Patient, rounds: int) -> Iterator[Finding]:
    path = Path(patient)
    try:
        told = [
            _measured(patient, name, rounds, step)
            for name, step in (("read", path.read), ("load", path.load))
        ]
        told.append(_invalidating(patient, rounds, path))
    except ProviderError as error:
        yield note("paths", f"not all could be measured: {error}", fix="see the other findings first")
    else:
        yield fine(
            "paths", f"ms, half/99 of 100: {', '.join(told)}", f"a value of {VALUE_BYTES:,} bytes, 3 tags"
        )
    finally:
        path.clean()


def _measured(patient: Patient, name: str, rounds: int, step: Callable[[], Any]) -> str:
    middle, most = _timed(rounds, step)
    patient.measured[f"{name}_p50_ms"], patient.measured[f"{name}_p99_ms"] = middle, most
    return f"{name} {middle:.2f}/{most:.2f}"


def _invalidating(patient: Patient, rounds: int, path: Path) -> str:
    try:
        return _measured(patient, "invalidate", rounds, path.invalidate)
    except (
        ProviderRejectedError
    ):  # in the namespace itself it would stand in the journal, and be shipped to peers
        return "invalidate not measured, since only the namespace's own keys are open"


class Path:
    """The steps of a cache, on a key of its own; invalidations go to a namespace of their own, and its journal."""

    def __init__(self, patient: Patient) -> None:
        self._patient = patient
        self._own = RedisProvider(patient.library, patient.probed.namespace)
        self._apart = RedisProvider(patient.library, patient.probe)
        self._key = f"{patient.probe}:value"
        self._tags = [tag_id(f"{patient.probe}:{n}") for n in range(2)]
        self._lease = os.urandom(16)

    def read(self) -> None:
        """Read an entry with its tags."""
        self._own.read(self._key, [ROOT, *self._tags])

    def load(self) -> None:
        """Take the lease, and store."""
        # The root tag is the namespace's own: it is read above, and not made here.
        self._own.begin(self._key, self._tags, self._lease, LEASE_MS, LEASE_MS, guard=False)
        self._own.store(self._key, bytes(VALUE_BYTES), LEASE_MS, self._lease)

    def invalidate(self) -> None:
        """Invalidate two tags."""
        record = Invalidation(
            id=new_id(), origin="doctor", namespace=self._apart.namespace, tags=("a", "b"), at_ms=0
        )
        self._apart.invalidate([record])

    def clean(self) -> None:
        """Remove everything, as far as it is allowed."""
        own, apart = self._own.keys, self._apart.keys
        names = [own.entry(self._key), own.lease(self._key), *map(own.version, self._tags)]
        for name in (*names, apart.guard, apart.journal):
            self._patient.ask_all([("UNLINK", name)], name)


def _timed(rounds: int, step: Callable[[], Any]) -> tuple[float, float]:
    """Return the median and the 99th percentile of *rounds* of *step*, in milliseconds."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        step()
        took.append(1_000 * (time.perf_counter() - began))
    took.sort()
    return round(took[len(took) // 2], 3), round(took[min(len(took) - 1, int(len(took) * 0.99))], 3)
