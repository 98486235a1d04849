"""The demo's judge must be able to fail: each kind of fault in a made-up history is found, and nothing else is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from local.demo.judge import RegionJudge, Write, diverged
from local.demo.recording import FINAL, LOADED, NEAR, NOT_SHOWN, SERVER, TRAFFIC, Read

if TYPE_CHECKING:
    from collections.abc import Sequence

BOUND = 100
ROWS_OF = [(0,), (1,), (0, 1)]
WRITES = [Write(0, 1, 1_000, 1_010), Write(1, 1, 1_000, 1_010), Write(0, 2, 2_000, 2_010)]
ACKNOWLEDGED = {(0, 1): 1_050, (1, 1): 1_050, (0, 2): 2_050}


def read(start: int, key: int, versions: Sequence[int], source: int = SERVER, purpose: int = TRAFFIC) -> Read:
    return Read(start, start + 5, key, source, purpose, bytes(versions))


def judged(
    *reads: Read, acknowledged: dict[tuple[int, int], int] | None = None, writes: Sequence[Write] = WRITES
) -> RegionJudge:
    judge = RegionJudge(
        "here", writes, ACKNOWLEDGED if acknowledged is None else acknowledged, BOUND, ROWS_OF
    )
    for each in sorted(reads, key=lambda read: read.end):
        judge.see(each)
    return judge


def test_a_clean_history_has_no_fault() -> None:
    """Reads that show every change in time are not blamed, and every change has a lag."""
    judge = judged(read(1_020, 2, (0, 0)), read(1_060, 2, (1, 1)), read(2_060, 0, (2,)))

    assert (judge.stale_reads, judge.lost, judge.never_fresh) == (0, [], 0)
    assert judge.lag_ns == {(0, 1): 65, (1, 1): 65, (0, 2): 65}


def test_a_stale_read_of_the_server_is_found_at_once() -> None:
    """A read past the acknowledgement owes the new version; the bound of near copies is not its own."""
    judge = judged(read(2_051, 0, (1,)))

    assert judge.stale_reads == 1
    assert judge.examples[0].owed == 2
    assert judge.examples[0].returned == 1
    assert judge.examples[0].late_ns == 1


def test_a_read_that_began_before_the_acknowledgement_owes_nothing() -> None:
    """Only reads that begin strictly after it are judged by it, however late they end."""
    assert judged(Read(2_050, 9_000, 0, LOADED, TRAFFIC, bytes([1]))).stale_reads == 0


def test_a_near_copy_may_lag_by_its_bound_and_no_more() -> None:
    """Within the bound an old copy is only measured; past it, it is stale."""
    within = judged(read(2_050 + BOUND, 0, (1,), NEAR))
    past = judged(read(2_051 + BOUND, 0, (1,), NEAR))

    assert (within.stale_reads, within.oldest_copy_ns) == (0, BOUND)
    assert (past.stale_reads, past.oldest_copy_ns) == (1, BOUND + 1)


def test_one_old_row_makes_a_page_stale() -> None:
    """A page is judged by each of its rows, and counted once."""
    assert judged(read(2_060, 2, (1, 1))).stale_reads == 1
    assert judged(read(2_060, 2, (0, 0))).stale_reads == 1
    assert judged(read(2_060, 2, (2, 1))).stale_reads == 0


def test_a_missing_row_is_older_than_any_version() -> None:
    """A row that was inserted and is not shown is stale; one that a page need not show is not."""
    assert judged(read(1_060, 2, (0, 1))).stale_reads == 1
    assert judged(read(1_060, 2, (NOT_SHOWN, 1))).stale_reads == 0


def test_a_lost_change_is_found() -> None:
    """A change whose invalidation never appeared is lost, even if a later one covered its row."""
    acknowledged = {place: at for place, at in ACKNOWLEDGED.items() if place != (0, 1)}

    assert judged(acknowledged=acknowledged).lost == [WRITES[0]]


def test_acknowledgements_out_of_order_still_oblige() -> None:
    """Once version 2 is acknowledged, version 1's later acknowledgement does not make version 1 enough."""
    reversed_order = {**ACKNOWLEDGED, (0, 1): 3_000}

    assert judged(read(2_060, 0, (1,)), acknowledged=reversed_order).stale_reads == 1
    assert judged(read(3_060, 0, (1,)), acknowledged=reversed_order).stale_reads == 1


def test_a_change_that_no_read_shows_is_counted() -> None:
    """Without a fresh read there is no lag, and the change is reported as never seen."""
    assert judged(read(1_060, 0, (1,))).never_fresh == 2


def test_a_diverged_key_is_found() -> None:
    """After everything is quiet, a key that differs from the tables, or was not looked at, has diverged."""
    truth = {0: 2, 1: 1}
    right = [read(9_000, 0, (2,), purpose=FINAL), read(9_000, 1, (1,), purpose=FINAL)]
    page = read(9_000, 2, (2, 1), purpose=FINAL)
    old_page = read(9_000, 2, (1, 1), purpose=FINAL)

    assert diverged(truth, {"a": [*right, page]}, ROWS_OF) == []
    assert diverged(truth, {"a": [*right, old_page], "b": right}, ROWS_OF) == [("a", 2), ("b", 2)]
    assert diverged(truth, {"a": [*right, page._replace(purpose=TRAFFIC)]}, ROWS_OF) == [("a", 2)]


# --- an oracle that looks at every pair of a read and a change -----------------------------------

TIMES = st.integers(0, 40)


def naive(
    writes: Sequence[Write], acknowledged: dict[tuple[int, int], int], reads: Sequence[Read]
) -> tuple[int, int, dict[tuple[int, int], int]]:
    """Count stale reads, find the oldest near copy and every lag, by the definition alone."""
    stale = oldest = 0
    for each in reads:
        bound = BOUND if each.source == NEAR else 0
        faults = [
            each.start - at
            for (row, version), at in acknowledged.items()
            for shown_row, shown in zip(ROWS_OF[each.key], each.versions, strict=True)
            if shown_row == row and shown != NOT_SHOWN and shown < version and each.start > at
        ]
        stale += any(fault > bound for fault in faults)
        if each.source == NEAR:
            oldest = max([oldest, *faults])
    lags = {}
    for write in writes:
        ends = [
            each.end
            for each in reads
            for row, shown in zip(ROWS_OF[each.key], each.versions, strict=True)
            if row == write.row and NOT_SHOWN != shown >= write.version
        ]
        if ends:
            lags[write.row, write.version] = min(ends) - write.start
    return stale, oldest, lags


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[Write], dict[tuple[int, int], int], list[Read]]:
    """Any writes, acknowledgements in any order and with gaps, and reads of any versions."""
    writes = [
        Write(row, version, 10 * draw(TIMES), 500) for row in (0, 1) for version in range(1, draw(TIMES) % 5)
    ]
    acknowledged = {
        (write.row, write.version): 10 * draw(TIMES) for write in writes if draw(st.integers(0, 9))
    }
    shown = st.sampled_from([0, 1, 2, 3, 4, NOT_SHOWN])
    reads = []
    for _ in range(draw(st.integers(0, 12))):
        key, start = draw(st.integers(0, 2)), 5 * draw(TIMES)
        versions = bytes(draw(shown) for _ in ROWS_OF[key])
        source = draw(st.sampled_from([NEAR, SERVER, LOADED]))
        reads.append(Read(start, start + draw(TIMES), key, source, TRAFFIC, versions))
    return writes, acknowledged, sorted(reads, key=lambda read: read.end)


@settings(max_examples=400, deadline=None)
@given(histories())
def test_the_judge_agrees_with_the_definition(
    history: tuple[list[Write], dict[tuple[int, int], int], list[Read]],
) -> None:
    """Bisection and running maxima change how the verdict is found, never the verdict."""
    writes, acknowledged, reads = history
    judge = judged(*reads, acknowledged=acknowledged, writes=writes)

    assert (judge.stale_reads, judge.oldest_copy_ns, judge.lag_ns) == naive(writes, acknowledged, reads)
