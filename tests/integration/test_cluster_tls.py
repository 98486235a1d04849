"""A cluster over TLS whose nodes tell their names: each is verified by its name; addresses have no certificate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

from local.conditions import wait_until
from local.loopback import HOST, free_port
from local.supervisor import Supervisor
from local.valkey_cluster import SLOTS, ValkeyNode
from staleproof import ProviderRejectedError, ProviderUnavailableError
from staleproof.providers.redis import AsyncRedisProvider, RedisProvider
from staleproof.tags import tag_id
from staleproof.testing import Blocking
from staleproof.testing.examples import MINE, MINUTE, invalidation
from tests.integration.debian_redis import BINARY, NAME, Certificates

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

pytestmark = [pytest.mark.redis, pytest.mark.slow]

TAGS = [tag_id(str(number)) for number in range(30)]


class TlsNode(ValkeyNode):
    """A node that clients reach over TLS, and the test by its plain port."""

    def __init__(self, owner: Supervisor, name: str, certificates: Certificates) -> None:
        self.tls_port = free_port()
        secure = (
            *("--tls-port", str(self.tls_port), "--tls-cluster", "yes", "--tls-replication", "yes"),
            *("--tls-cert-file", str(certificates.certificate), "--tls-key-file", str(certificates.key)),
            *("--tls-ca-cert-file", str(certificates.authority), "--tls-auth-clients", "no"),
            *("--cluster-announce-hostname", NAME, "--cluster-preferred-endpoint-type", "hostname"),
        )
        super().__init__(owner, name, binary=BINARY, options=secure)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def nodes(authority: Certificates) -> Iterator[list[TlsNode]]:
    """Three primaries, with a user who may touch our keys alone."""
    with Supervisor() as owner:
        nodes = [TlsNode(owner, f"tls-{number}", authority) for number in range(3)]
        for number, node in enumerate(nodes):
            node.start()
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", number + 1)
            node.ask("CLUSTER", "ADDSLOTSRANGE", SLOTS * number // 3, SLOTS * (number + 1) // 3 - 1)
            node.ask(
                "ACL",
                "SETUSER",
                "app",
                "on",
                ">secret",
                "~sp:tls:*",
                "+@all",
                "-@dangerous",
                "+cluster|slots",
            )
        for node in nodes[1:]:
            nodes[0].ask("CLUSTER", "MEET", HOST, node.tls_port, node.bus_port)
        wait_until(
            lambda: all(b"cluster_state:ok" in node.ask("CLUSTER", "INFO") for node in nodes), "all is well"
        )
        wait_until(lambda: all(_named(node) for node in nodes), "the nodes know one another's names")
        yield nodes


def _named(node: TlsNode) -> bool:
    return all(served[2][0] == NAME.encode() for served in node.ask("CLUSTER", "SLOTS"))


def address(node: TlsNode, authority: Path, host: str = NAME, who: str = "app:secret@") -> str:
    trust = quote(str(authority), safe="/")
    return f"rediss://{who}{host}:{node.tls_port}/0?cluster=true&ssl_ca_certs={trust}"


@pytest.fixture(params=["blocking", "awaiting"])
def connect(request: pytest.FixtureRequest) -> Iterator[Callable[[str], Any]]:
    opened: list[Any] = []

    def connect(url: str) -> Any:
        if request.param == "blocking":
            opened.append(RedisProvider.from_url(url, namespace="tls", timeout=3.0))
        else:
            opened.append(Blocking(AsyncRedisProvider.from_url(url, namespace="tls", timeout=3.0)))
        return opened[-1]

    yield connect
    for provider in opened:
        getattr(provider, "shut", provider.close)()


def test_all_nodes_are_reached_by_their_names(
    nodes: list[TlsNode], authority: Certificates, connect: Callable[[str], Any]
) -> None:
    """With the same trust and as the same user as the endpoint."""
    provider = connect(address(nodes[0], authority.authority))
    begun = provider.begin("key", TAGS, MINE, MINUTE, MINUTE, guard=True)
    assert provider.store("key", b"1", MINUTE, MINE)
    assert list(provider.read("key", TAGS).versions) == list(begun.snapshot.versions)
    assert provider.invalidate([invalidation("0", keys=("key",))])
    assert provider.read("key", []).entry is None


def test_a_name_that_the_certificate_does_not_have_is_refused(
    nodes: list[TlsNode], authority: Certificates, connect: Callable[[str], Any]
) -> None:
    """The endpoint is verified like the nodes."""
    with pytest.raises(ProviderUnavailableError, match=r"(?i)certificate"):
        connect(address(nodes[0], authority.authority, host=HOST)).read("key", [])


def test_who_is_not_let_in_is_told(
    nodes: list[TlsNode], authority: Certificates, connect: Callable[[str], Any]
) -> None:
    """A wrong password is a rejection, and is not in the message."""
    with pytest.raises(ProviderRejectedError, match="check user, password") as caught:
        connect(address(nodes[0], authority.authority, who="app:wrong-secret@")).read("key", [])
    assert "wrong-secret" not in str(caught.value)
