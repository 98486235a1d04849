"""What goes over the wire to Memcached, and what comes back: replies, times, names, guards, a node's health."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof.clock import ManualClock
from staleproof.errors import ProviderRejectedError, ProviderUnavailableError
from staleproof.policies import guard
from staleproof.providers.memcached import charter, guard_log, lifetimes
from staleproof.providers.memcached.failures import RECORD, records
from staleproof.providers.memcached.health import FAILURES, REST, Health
from staleproof.providers.memcached.names import Names, key_rest
from staleproof.providers.memcached.wire import Replies, Reply
from staleproof.tags import tag_id

VALUES = st.lists(st.one_of(st.none(), st.binary(max_size=40)), min_size=1, max_size=8)


@given(VALUES, st.lists(st.integers(1, 30), max_size=60))
def test_replies_are_read_however_they_are_cut(values: list[bytes | None], cuts: list[int]) -> None:
    """Line ends inside of values, empty values and misses; pieces of any length."""
    sent = b"".join(b"EN\r\n" if v is None else b"VA %d f0 c7\r\n%b\r\n" % (len(v), v) for v in values)
    replies, done = Replies(len(values)), False
    for cut in [*cuts, len(sent) + 1]:
        if sent:
            piece, sent = sent[:cut], sent[cut:]
            done = replies.feed(piece)
    assert done
    assert [reply.value for reply in replies.found] == values
    assert all(reply.number(b"c") == (0 if reply.value is None else 7) for reply in replies.found)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        (b"ERROR\r\n", ProviderRejectedError),
        (b"CLIENT_ERROR bad command line format\r\n", ProviderRejectedError),
        (b"ERROR Too many open connections\r\n", ProviderUnavailableError),
        (b"HD\r\nHD\r\n", ProviderUnavailableError),
        (b"VA abc f0\r\n", ProviderUnavailableError),
        (b"VA -5 f0\r\n", ProviderUnavailableError),
        (b"VA 1\xb2 f0\r\n", ProviderUnavailableError),
        (b"VA 3 f0\r\nabcdef\r\n", ProviderUnavailableError),
        (b"VA " + b"9" * 30 + b"\r\n", ProviderUnavailableError),
        (b"x" * 5_000, ProviderUnavailableError),
    ],
)
def test_a_server_that_answers_otherwise_is_refused(line: bytes, error: type[Exception]) -> None:
    """The connection is of no use then."""
    with pytest.raises(error):
        Replies(1).feed(line)


def test_a_number_that_is_none_is_refused() -> None:
    """A cas or a life of letters is no cas and no life, and raises what every broken answer raises."""
    with pytest.raises(ProviderUnavailableError, match="no reply"):
        Reply(b"HD cxyz tzz").number(b"t")


def test_a_server_error_is_an_answer() -> None:
    """The server could not do it, and the connection goes on."""
    replies = Replies(2)
    assert replies.feed(b"SERVER_ERROR out of memory storing object\r\nHD\r\n")
    assert [reply.failed for reply in replies.found] == [True, False]
    assert Reply(b"HD c1 f2").flag(b"t") is None


@given(st.integers(1, 10**13))
def test_what_must_last_lasts(milliseconds: int) -> None:
    """A tick late, never early; never a number that the server takes for a date, nor a date for a number."""
    seconds = int(lifetimes.lasting(milliseconds)[1:])
    assert 0 <= seconds <= lifetimes.LAST
    if seconds > lifetimes.MONTH:
        assert seconds > time.time() + lifetimes.MONTH - 2
    elif seconds:
        assert seconds - 1 >= milliseconds / 1_000
    else:
        assert milliseconds > lifetimes.MONTH * 1_000
    assert lifetimes.lasting(0) == b"T0"


@pytest.mark.parametrize(
    ("left", "needed", "flag"),
    [(-1, 60_000, None), (100, 60_000, None), (60, 60_000, b"T76"), (5, 0, b"T0"), (1, 2_000, b"T3")],
)
def test_what_lasts_long_enough_is_left_alone(left: int, needed: int, flag: bytes | None) -> None:
    """And what is prolonged is prolonged by a quarter more, so that not every load has to."""
    assert lifetimes.prolonging(left, needed) == flag


@given(st.text(max_size=300), st.text(max_size=300))
def test_names_are_what_the_server_takes(one: str, other: str) -> None:
    """At most 250 bytes, no blanks, no control characters; different keys have different names."""
    names, token = Names("n" * 64), charter.fresh(1, ("a:1",), complete=True).terms[0].token
    for key in (one, other):
        for kind in (b"e", b"l"):
            name = names.under(token, kind, key_rest(key))
            assert len(name) <= 250
            assert all(33 <= byte < 127 for byte in name)
    assert (one == other) == (key_rest(one) == key_rest(other))


def test_a_guard_counts_what_was_appended() -> None:
    """Each bump moves its stripe and no other; another epoch, or another node's, moves all."""
    log, tag, other = b"epoch..." + b"\x07\x00", tag_id("a"), tag_id("b")
    before = guard_log.packed({"n": log})
    bumped = log + guard_log.bump(b"g", [tag]).split(b"\r\n")[1]
    assert guard.moved(before, guard_log.packed({"n": bumped}), [tag])
    assert not guard.moved(before, guard_log.packed({"n": bumped}), [other])
    assert guard.moved(before, guard_log.packed({"n": b"another." + log[8:]}), [other])
    assert guard.moved(before, guard_log.packed({"n": log, "m": log}), [other])
    assert guard.moved(before, guard_log.packed({"n": None}), [other])
    assert guard_log.bump(b"g", [tag_id(str(n)) for n in range(9_000)]) == b"md g\r\n"


def test_a_charter_keeps_its_terms_while_versions_come_one_by_one() -> None:
    """A skipped version, too many terms, or bytes that are no charter: everything is forgotten."""
    known = charter.fresh(1, ("a:1",), complete=True)
    following = charter.advanced(known, 2, ("a:1", "b:1"))
    assert following.terms[0] == known.terms[0]
    assert not following.complete
    assert charter.decode(charter.encode(following)) == following
    assert known.terms[0] not in charter.advanced(known, 3, ("a:1",)).terms
    for version in range(3, 20):
        following = charter.advanced(following, version, ("a:1", "b:1"))
    assert len(following.terms) <= charter.MAX_TERMS
    assert charter.decode(b"anything") is None


def test_a_node_rests_longer_each_time() -> None:
    """One caller is let through after a rest; the others wait for what becomes of him."""
    clock = ManualClock()
    health = Health("node", clock)
    for _ in range(FAILURES):
        health.check()
        health.fails()
    with pytest.raises(ProviderUnavailableError, match="left alone"):
        health.check()
    clock.advance(REST + 0.01)
    health.check()
    with pytest.raises(ProviderUnavailableError):
        health.check()
    health.works()
    health.check()


@given(st.lists(st.binary(min_size=1, max_size=20_000), max_size=12))
def test_tls_records_end_with_long_values(requests: list[bytes]) -> None:
    """Nothing is lost, and no request follows a long one in the same write."""
    writes = records(requests)
    assert b"".join(writes) == b"".join(requests)
    assert all(len(write) <= RECORD + max(map(len, requests)) for write in writes)
