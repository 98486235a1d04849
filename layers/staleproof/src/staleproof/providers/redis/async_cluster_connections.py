"""`ClusterConnections` for asyncio: the same deliveries, a wave's groups as tasks of their own.

A lock and connections belong to an event loop; what is known of the cluster does not.
"""

from __future__ import annotations

import asyncio
from math import inf
from typing import TYPE_CHECKING, Any

from staleproof.clock import SYSTEM_CLOCK, Clock
from staleproof.errors import ProviderUnavailableError
from staleproof.providers.redis.async_node_connections import AsyncNodeConnections
from staleproof.providers.redis.chart import Chart
from staleproof.providers.redis.cluster_connections import CLUSTER_SLOTS, refuse
from staleproof.providers.redis.cluster_steps import ClusterSteps
from staleproof.providers.redis.connections import DEFAULT_MAX_CONNECTIONS, DEFAULT_TIMEOUT, checked_timeout
from staleproof.providers.redis.delivery import Delivery, Pause, Refresh
from staleproof.providers.redis.exchange import commands
from staleproof.providers.redis.failures import check
from staleproof.providers.redis.groups import gathered, grouped, groups
from staleproof.providers.redis.parcels import Tour, Waves
from staleproof.providers.redis.topology import understood
from staleproof.providers.redis.tour import following, is_last, stop
from staleproof.providers.snapstart import close_before_snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from staleproof.keys import Keyspace
    from staleproof.policies.duration import Duration
    from staleproof.providers.redis.credentials import Credentials
    from staleproof.providers.redis.delivery import Marks
    from staleproof.providers.redis.durability import Durability
    from staleproof.providers.redis.groups import Group, Outcome
    from staleproof.providers.redis.parcels import Parcel
    from staleproof.providers.redis.topology import Address, Topology


class AsyncClusterConnections:
    """See `ClusterConnections`."""

    steps = ClusterSteps

    def __init__(
        self,
        url: str,
        *,
        timeout: Duration = DEFAULT_TIMEOUT,
        max_connections: int = DEFAULT_MAX_CONNECTIONS,
        credentials: Credentials | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        timeout = checked_timeout(timeout)
        self._endpoint = AsyncNodeConnections(
            url, timeout=timeout, max_connections=max_connections, credentials=credentials, clock=clock
        )
        self._endpoint.address  # noqa: B018 - raises if there can be no cluster
        self.where = self._endpoint.where
        self.durability: Durability = self._endpoint.durability
        self.chart = Chart(timeout)
        self.watch = inf  # not heeded: a node that serves a slot no more says so to whoever asks for it
        self._timeout = timeout
        self._nodes: dict[Address, AsyncNodeConnections] = {}
        self._asking: tuple[asyncio.AbstractEventLoop, asyncio.Lock] | None = None
        close_before_snapshot(self)

    def greet(self, _: Callable[..., object]) -> None:
        """See `ClusterConnections.greet`."""
        refuse()

    # --- exchanging --------------------------------------------------------------------------------

    async def exchange(self, request: Waves | Tour) -> list[Any]:
        """See `ClusterConnections.exchange`."""
        if isinstance(request, Tour):
            return await self._tour(request)
        return await self._deliver_all(request)

    async def settled(self, request: Waves, keys: Keyspace) -> list[Any]:
        """See `ClusterConnections.settled`."""
        return await self._deliver_all(request, keys.mark)

    async def ask(self, parcels: Sequence[Parcel]) -> Any:
        """See `ClusterConnections.ask`."""
        places = grouped(parcels, self.chart.topology.owners)
        if None not in places:
            found = gathered(
                len(parcels), places, await self._scatter(groups(parcels, places), together=True)
            )
            if found is not None:
                return found
        return await self.exchange(Waves([parcels], foreign=True))

    async def _deliver_all(self, request: Waves, marks: Marks | None = None) -> list[Any]:
        replies: list[Any] = []
        unsettled: ProviderUnavailableError | None = None
        for wave in request.waves:
            waited = marks if unsettled is None else None
            delivery = Delivery(wave, await self._known(), self._timeout, waited, once=request.once)
            answered = await self._drive(delivery)
            check(answered, self, foreign=request.foreign)
            replies += answered
            unsettled = unsettled or delivery.unsettled
        if unsettled is not None:
            raise unsettled
        return replies

    async def _drive(self, delivery: Delivery) -> list[Any]:
        run = delivery.run()
        answer: Any = None
        while True:
            try:
                wanted = run.send(answer)
            except StopIteration as end:
                replies: list[Any] = end.value
                return replies
            answer = None
            if isinstance(wanted, Pause):
                await asyncio.sleep(wanted.seconds)
            elif isinstance(wanted, Refresh):
                await self._refresh(wanted.lost)
            else:
                answer = await self._scatter(wanted)

    async def _scatter(self, sends: Sequence[Group], *, together: bool = False) -> Sequence[Outcome]:
        under_way = [self._node(each.address).outcome(each.exchange, together=together) for each in sends]
        return [await under_way[0]] if len(under_way) == 1 else await asyncio.gather(*under_way)

    async def _tour(self, tour: Tour) -> list[Any]:
        topology = (await self._known()).topology
        at = stop(topology, tour.cursor)
        command = ("SCAN", at.place, "MATCH", tour.pattern, "COUNT", tour.limit)
        try:
            (reply,) = await self._node(at.address).exchange(commands([command]))
        except ProviderUnavailableError:
            self.renew()
            raise
        check([reply], self)
        if is_last(topology, at, reply[0]):
            self.renew()  # slots that changed hands meanwhile were perhaps overtaken
        return [following((await self._known()).topology, at, reply[0]), reply[1]]

    # --- who serves what -----------------------------------------------------------------------------

    def _node(self, address: Address) -> AsyncNodeConnections:
        node = self._nodes.get(address)
        if node is None:
            node = self._nodes[address] = self._endpoint.beside(*address)
        return node

    async def _known(self) -> Chart:
        if self.chart.unsure:
            await self._refresh()
        return self.chart

    async def _refresh(self, lost: Collection[Address] = ()) -> None:
        async with self._lock():
            if not self.chart.is_due():
                return
            error: ProviderUnavailableError | None = None
            for node in [*map(self._node, self.chart.asked(lost)), self._endpoint]:
                try:
                    topology = await self._asked(node)
                except ProviderUnavailableError as unavailable:
                    error = unavailable
                    continue
                self.chart.replace(topology)
                await self._part()
                return
            self.chart.fail(error)

    def _lock(self) -> asyncio.Lock:
        loop = asyncio.get_running_loop()
        if self._asking is None or self._asking[0] is not loop:
            self._asking = loop, asyncio.Lock()
        return self._asking[1]

    async def _asked(self, node: AsyncNodeConnections) -> Topology:
        if node is self._endpoint:
            node.renew()
        (reply,) = await node.exchange(CLUSTER_SLOTS)
        return understood(reply, node.address)

    async def _part(self) -> None:
        serving = set(self.chart.topology.primaries)
        for address in [each for each in self._nodes if each not in serving]:
            await self._nodes.pop(address).close()

    def abandon(self) -> None:
        """See `ClusterConnections.abandon`."""
        self.renew()

    def renew(self) -> None:
        """See `ClusterConnections.renew`."""
        self.chart.doubt()

    async def close(self) -> None:
        """Close idle connections; the next exchange reconnects."""
        for node in [self._endpoint, *self._nodes.values()]:
            await node.close()
