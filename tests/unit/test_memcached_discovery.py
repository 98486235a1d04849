"""Auto discovery: the answer's bytes, in whatever pieces they come; and the URL that asks for it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof.errors import ConfigurationError, ProviderRejectedError
from staleproof.providers.memcached.address import Address, parse
from staleproof.providers.memcached.discovery import Listing, NotUnderstoodError, answer
from staleproof.providers.memcached.members import Member, member_of, names, ring

# The example of the ElastiCache User Guide, "Adding auto discovery to your client library".
BLOCK = (
    b"12\nmyCluster.pc4ldq.0001.use1.cache.amazonaws.com|10.82.235.120|11211 "
    b"myCluster.pc4ldq.0002.use1.cache.amazonaws.com|10.80.249.27|11211\n"
)
GUIDE = b"CONFIG cluster 0 %d\r\n%b\r\nEND\r\n" % (len(BLOCK), BLOCK)
OLDER = b"VALUE AmazonElastiCache:cluster 0 %d\r\n%b\r\nEND\r\n" % (len(BLOCK), BLOCK)
MEMBERS = (
    Member("myCluster.pc4ldq.0001.use1.cache.amazonaws.com", 11211, "10.82.235.120"),
    Member("myCluster.pc4ldq.0002.use1.cache.amazonaws.com", 11211, "10.80.249.27"),
)


def test_an_answer_is_read() -> None:
    """The version, and name, address and port of each node."""
    assert answer(GUIDE) == Listing(12, MEMBERS)


@pytest.mark.parametrize("whole", [GUIDE, OLDER])
def test_an_answer_in_pieces_is_none_until_it_is_whole(whole: bytes) -> None:
    """However the network cuts it, no prefix of an answer is an answer, and the whole one is."""
    assert {answer(whole[:size]) for size in range(len(whole))} == {None}
    assert answer(whole) == Listing(12, MEMBERS)


def test_an_address_may_be_empty() -> None:
    """The pipes stay, and the name is used."""
    block = b"1\nhost||11211\n"
    found = answer(b"CONFIG cluster 0 %d\r\n%b\r\nEND\r\n" % (len(block), block))
    assert found == Listing(1, (Member("host", 11211, ""),))


@pytest.mark.parametrize("refusal", [b"ERROR\r\n", b"CLIENT_ERROR bad\r\n", b"END\r\n"])
def test_a_server_without_the_command_is_told_apart(refusal: bytes) -> None:
    """So that the older form can be tried."""
    with pytest.raises(NotUnderstoodError):
        answer(refusal)


@pytest.mark.parametrize(
    "wrong",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"CONFIG cluster 0 -1\r\n",
        b"CONFIG cluster 0 3\r\nabc\r\nEND\r\n",
        b"CONFIG cluster 0 2\r\n1\n\r\nEND\r\n",
        b"CONFIG cluster 0 9\r\n1\na|b|c|d\n\r\nEND\r\n",
        b"CONFIG cluster 0 8\r\n1\n||112\n\r\nEND\r\n",
        b"CONFIG cluster 0 3\r\n1\na|b|1\n\r\nEND\r\n",
        b"CONFIG cluster 0 8\r\n1\na|b|0\n\r\nEND\r\n",
        b"CONFIG cluster 0 9\r\n1\na|b|-5\n\r\nEND\r\n",
        b"CONFIG cluster 0 10\r\n1\na|b|1_1\n\r\nEND\r\n",
        b"CONFIG cluster 0 12\r\n1\na|b|65536\n\r\nEND\r\n",
        b"CONFIG cluster 0 14\r\n1\na|b|1 a|c|1\n\r\nEND\r\n",
        b"CONFIG cluster 0 9\r\n1\na\x00b||1\n\r\nEND\r\n",
        b"CONFIG cluster 0 27\r\n" + b"9" * 20 + b"\na|b|1\n\r\nEND\r\n",
        b"x" * 600,
        b"CONFIG cluster 0 9999999\r\n" + b"1" * 1_048_577,
    ],
)
def test_what_is_no_answer_is_refused(wrong: bytes) -> None:
    """Never waited for, never half believed; the error shows it."""
    with pytest.raises(ProviderRejectedError, match="cannot be read"):
        answer(wrong)


@given(st.lists(st.integers(1, 65535), min_size=1, max_size=20, unique=True), st.randoms())
def test_the_ring_does_not_depend_on_the_order(ports: list[int], random: object) -> None:
    """Whoever has the same nodes has the same owner for every key; and every name is its member's."""
    members = [Member("host", port) for port in ports]
    assert names(members) == names(members[::-1])
    assert {member_of(member.name) for member in members} == set(members)
    owner = ring(names(members))
    assert {owner(f"key:{number}") for number in range(20)} <= set(names(members))


def test_a_new_node_takes_keys_and_moves_no_others() -> None:
    """Consistent hashing: what the new node does not own stays where it was, and it owns about its share."""
    before, after = ring(("a:1", "b:1", "c:1")), ring(("a:1", "b:1", "c:1", "d:1"))
    keys = [f"key:{number}" for number in range(2_000)]
    moved = [key for key in keys if before(key) != after(key)]
    assert {after(key) for key in moved} == {"d:1"}
    assert 300 < len(moved) < 700


def test_urls() -> None:
    """Nodes, endpoints, ports, IPv6 and options are read; TLS verifies."""
    assert parse("memcached://a,b:2/") == Address((Member("a", 11211), Member("b", 2)), False, None)
    assert parse("memcached+discovery://cfg:11212?poll=5") == Address(
        (Member("cfg", 11212),), True, None, 5.0
    )
    assert parse("memcached://[::1]:3").members == (Member("::1", 3),)
    tls = parse("memcacheds+discovery://cfg").tls
    assert tls is not None
    assert tls.check_hostname


@pytest.mark.parametrize(
    "url",
    [
        "redis://a",
        "memcached:a",
        "memcached://",
        "memcached://a,",
        "memcached://a:x",
        "memcached://a:99999",
        "memcached://a:0",
        "memcached://a\r\nflush_all:1",
        "memcached://a,a:11211",
        "memcached://a/0",
        "memcached://user:secret@a",
        "memcached+discovery://a,b",
        "memcached://a?tls=1",
        "memcached+discovery://a?poll=0",
        "memcached+discovery://a?poll=x",
        "memcached://a?ssl_ca_certs=/x",
        "memcacheds://a?ssl_ca_certs=/no/such/file",
    ],
)
def test_urls_that_cannot_be_read(url: str) -> None:
    """They are refused with what to write instead, and nothing secret is shown."""
    with pytest.raises(ConfigurationError, match="cache URL") as caught:
        parse(url)
    assert "secret" not in str(caught.value)
