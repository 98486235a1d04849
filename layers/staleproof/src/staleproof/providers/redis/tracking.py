"""`Tracker`: a near cache kept in step with the journal by the server's own push, for long-running services.

Without it a near cache asks for the journal when a read finds it older than its bound. With it a thread holds one
RESP3 connection on which the server tells when the journal changes (`CLIENT TRACKING ON BCAST`), so that reads ask
nothing, and copies go within a round trip of an invalidation.

Theory of operation
-------------------
The server pushes a message whenever the journal's key is modified, in the order in which it executes commands. The
thread asks at regular intervals. If no push came before the answer, nothing was acknowledged between the last
reading of the journal and the asking: an acknowledgement leaves the server after its push. So the near cache was in
step when it was *asked*, which is what an empty page of the journal would say. If a push came, the journal is
read from the cursor, as any reader would.

The question is a write that changes nothing, `PERSIST` of the journal, which never expires. A server that is no primary
any more refuses it, and so does a cluster's node that has handed the journal's slot to another: what they do not push
says nothing.

All doubt ends in the near cache's own rule. A lost connection, a frozen process or a slow server only stop the
confirmations; `synced` grows old, and reads go back to asking the journal. After a reconnect the journal is read before
anything is confirmed.

Only the journal is tracked, not the version keys: every snapshot prolongs those, which the server pushes too, and
copies would go whenever any process stored something under the same tag. Evicted keys and tags of one invalidation
arrive together in its record.

Source: https://valkey.io/topics/client-side-caching/
"""

from __future__ import annotations

import logging
import threading
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError

from staleproof.errors import ConfigurationError, ProviderError
from staleproof.policies.duration import seconds
from staleproof.ports import JournalPage

if TYPE_CHECKING:
    from typing import Self

    from staleproof.near.store import NearStore
    from staleproof.policies.duration import Duration
    from staleproof.providers.redis.provider import RedisProvider

LOGGER = logging.getLogger("staleproof")
PAGE = 256
MAX_PAGES = 64
FIRST_RETRY, LONGEST_RETRY = 0.05, 5.0
_PUSHED = object()


class Tracker:
    """Keeps *near* in step; start it once a process, after any fork. Not for Lambda, where threads freeze.

    Args:
        provider: the server, and the namespace whose journal is followed.
        near: the near cache.
        interval: how often being in step is confirmed, seconds or `"100ms"`: a third of the smallest `staleness`.

    Raises:
        ConfigurationError: the interval is nothing, or *near* belongs to a cache over a tiered provider.
    """

    def __init__(self, provider: RedisProvider, near: NearStore, *, interval: Duration = "100ms") -> None:
        if near.behind_tier:
            raise ConfigurationError(
                "the near cache of a cache over a tiered provider cannot be tracked: the tier must hear of the journal "
                "first; track a cache over the server itself"
            )
        self._provider = provider
        self._near = near
        self._interval = seconds(interval, "interval")
        if not self._interval:
            raise ConfigurationError(
                "interval=0 would ask all the time; a third of the staleness bound is right"
            )
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._connection: Any = None
        self.connected = False
        """Whether the server pushes to us now."""
        self.pushes = 0
        self.confirmations = 0

    def start(self) -> Self:
        """Begin in a thread of its own."""
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="staleproof-tracker", daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """End; the near cache goes on by asking."""
        self._stopped.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- the thread --------------------------------------------------------------------------------

    def _run(self) -> None:
        pause = FIRST_RETRY
        while not self._stopped.is_set():
            try:
                self._connect()
                pause = FIRST_RETRY
                self._follow()
            except (RedisError, OSError, ProviderError) as error:
                LOGGER.info("tracking was interrupted, reads ask for themselves meanwhile: %s", error)
                self._stopped.wait(pause)
                pause = min(2 * pause, LONGEST_RETRY)
            finally:
                self._disconnect()

    def _connect(self) -> None:
        journal = self._provider.keys.journal
        self._connection = self._provider.connections.apart(name=journal, protocol=3)
        self._connection.connect()
        self._connection._parser.set_invalidation_push_handler(lambda _: _PUSHED)  # noqa: SLF001 - no public way
        self._ask("CLIENT", "TRACKING", "ON", "BCAST", "PREFIX", journal)
        self.connected = True

    def _disconnect(self) -> None:
        self.connected = False
        if self._connection is not None:
            self._connection.disconnect()

    def _follow(self) -> None:
        """Read the journal to its end, then confirm at intervals until a push comes; and again."""
        while not self._stopped.is_set():
            self._catch_up()
            while not self._stopped.is_set():
                asked = self._near.position()
                if self._ask("PERSIST", self._provider.keys.journal) or not asked.cursor:
                    break
                self._near.advance(asked, JournalPage([], asked.cursor, contiguous=True, complete=True))
                self.confirmations += 1
                if self._pushed_within(self._interval):
                    break

    def _catch_up(self) -> None:
        for _ in range(MAX_PAGES):
            asked = self._near.position()
            if not asked.cursor:
                self._near.open(asked, self._provider.journal_end())
                continue
            page = self._provider.journal(asked.cursor, PAGE)
            self._near.advance(asked, page)
            if page.complete and page.contiguous:
                return
        self._near.reset()

    def _ask(self, *command: Any) -> bool:
        """Ask for one answer; say whether a push came before it."""
        self._connection.send_command(*command)
        pushed = False
        while self._connection.read_response(push_request=True) is _PUSHED:
            self.pushes += 1
            pushed = True
        return pushed

    def _pushed_within(self, wait: float) -> bool:
        """Wait for a push."""
        if not self._connection.can_read(timeout=wait):
            return False
        if self._connection.read_response(push_request=True) is not _PUSHED:
            raise ProviderError("the server answered what was not asked; tracking begins anew")
        self.pushes += 1
        return True
