"""Entries: what is written is read, by this release and by later ones; what cannot be read is a miss."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staleproof.entry import START_BYTES, TIMED, TIMES_BYTES, Entry, born_at, decode, encode, ended, prolonged
from staleproof.errors import ConfigurationError
from staleproof.policies.judgement import Miss, Partial, judge
from staleproof.tags import ROOT, TAG_ID_BYTES, VERSION_BYTES, tag_id

SNAPSHOTS = Path(__file__).parent.parent / "snapshots"
U64 = st.integers(0, 2**64 - 1)


@st.composite
def entries(draw: st.DrawFn) -> Entry:
    count = draw(st.integers(1, 9))
    return Entry(
        codec=draw(st.integers(0, 255)),
        ids=draw(st.binary(min_size=count * TAG_ID_BYTES, max_size=count * TAG_ID_BYTES)),
        versions=draw(st.binary(min_size=count * VERSION_BYTES, max_size=count * VERSION_BYTES)),
        named=draw(st.integers(1, count)),
        born_ms=draw(U64),
        expires_ms=draw(U64),
        row_version=draw(U64),
        payload=draw(st.binary(max_size=200)),
        flags=draw(st.sampled_from([0, TIMED])),
        cost_us=draw(st.integers(0, 2**32 - 1)),
        mark=draw(st.integers(0, 2**32 - 1)),
    )


def sample(release: str = "0.1.0") -> Entry:
    ids = [ROOT, tag_id("flight:1"), tag_id("carrier:UA")]
    versions = [bytes([n]) * VERSION_BYTES for n in (1, 2, 3)]
    first = Entry(
        0, b"".join(ids), b"".join(versions), 2, 1_360_324_800_000, 1_360_325_400_000, 7, b"\x81\xa2id\x01"
    )
    return first if release == "0.1.0" else first._replace(flags=TIMED, cost_us=1_234)


@given(entry=entries())
def test_an_entry_survives_its_envelope(entry: Entry) -> None:
    """Encode, then decode, is the identity."""
    read = decode(encode(entry))
    assert read is not None
    assert read._replace(payload=bytes(read.payload)) == entry


@given(entry=entries(), keep=st.floats(0, 1))
def test_a_truncated_envelope_is_unreadable_or_shorter_by_payload_only(entry: Entry, keep: float) -> None:
    """No cut inside the header or the tags is ever read as an entry."""
    raw = encode(entry)
    body = START_BYTES + len(entry.ids) + len(entry.versions) + TIMES_BYTES
    cut = decode(raw[: int(len(raw) * keep)])
    assert (cut is None) == (int(len(raw) * keep) < body)


@given(raw=st.binary(max_size=400))
def test_any_bytes_are_an_entry_or_a_miss(raw: bytes) -> None:
    """Another program's value under our key is never an error."""
    judge(raw, [b"x" * VERSION_BYTES], ROOT, 1)


def test_a_tag_costs_at_most_sixteen_bytes() -> None:
    """The envelope's cost a tag is fixed, whatever the tag's length."""
    one, nine = (encode(Entry(0, ROOT * n, b"v" * VERSION_BYTES * n, n, 0, 0, 0, b"")) for n in (1, 9))
    assert (len(nine) - len(one)) / 8 <= 16


def test_released_formats_are_still_read() -> None:
    """Bytes that earlier versions wrote are read by today's code, whatever they lacked."""
    for release in ("0.1.0", "0.2.0"):
        read = decode((SNAPSHOTS / f"entry-{release}.bin").read_bytes())
        assert read is not None
        assert read._replace(payload=bytes(read.payload)) == sample(release)


def test_todays_format_is_the_last_released_one() -> None:
    """A change of the layout needs a new format byte and a new snapshot; mend this test only with both."""
    assert encode(sample("0.2.0")) == (SNAPSHOTS / "entry-0.2.0.bin").read_bytes()


@given(entry=entries(), moment=U64)
def test_an_end_is_moved_and_nothing_else(entry: Entry, moment: int) -> None:
    """A prolonged entry differs in its end and in being timed; a wrong guess of its end moves nothing."""
    raw = encode(entry)
    moved = prolonged(raw, entry.expires_ms, moment)
    assert moved is not None
    read = decode(moved)
    assert read is not None
    flags = TIMED if moment != entry.expires_ms else entry.flags
    assert read._replace(payload=bytes(read.payload)) == entry._replace(expires_ms=moment, flags=flags)
    assert prolonged(raw, entry.expires_ms ^ 1, moment) is None
    assert born_at(raw) == entry.born_ms
    assert born_at(raw[: START_BYTES + len(entry.ids)]) is None


@given(entry=entries(), moment=U64, now_ms=U64)
def test_what_was_ended_is_over_by_any_clock_and_stays_so(entry: Entry, moment: int, now_ms: int) -> None:
    """The mark decides, not the moment; and nobody prolongs what is over."""
    over = ended(encode(entry), moment)
    assert over is not None
    read = decode(over)
    assert read is not None
    assert read.is_over(now_ms)
    assert read.expires_ms == moment
    assert prolonged(over, moment, now_ms) is None


@given(raw=st.binary(max_size=80), start=st.sampled_from([b"", b"\xe1", b"\xe2", b"\xe2\0\1\0\1\0\0\0"]))
def test_what_is_no_entry_has_no_end(raw: bytes, start: bytes) -> None:
    """Any bytes may lie under a key: ending them is refused or leaves an entry, never an error."""
    moved = ended(start + raw, 5)
    assert moved is None or (moved[0] == 0xE2 and len(moved) == len(start + raw))
    prolonged(start + raw, 0, 5)
    born_at(start + raw)


def test_too_many_or_unpaired_tags_are_refused() -> None:
    """The error says what to do."""
    with pytest.raises(ConfigurationError, match="tag a coarser thing"):
        encode(Entry(0, ROOT * 5_000, b"v" * VERSION_BYTES * 5_000, 1, 0, 0, 0, b""))
    with pytest.raises(ConfigurationError, match="one version a tag"):
        encode(Entry(0, ROOT, b"", 1, 0, 0, 0, b""))


class TestJudgement:
    """Equality of versions decides; a doubt is a miss, with its reason."""

    versions: ClassVar = [bytes([n]) * VERSION_BYTES for n in (1, 2, 3)]

    def asked(self) -> bytes:
        return sample().ids

    def test_equal_versions_are_a_hit(self) -> None:
        assert isinstance(judge(encode(sample()), self.versions, self.asked(), 2), Entry)

    @pytest.mark.parametrize("at", [0, 1, 2])
    @pytest.mark.parametrize("now", [None, b"another!"])
    def test_one_other_or_missing_version_is_a_miss(self, at: int, now: bytes | None) -> None:
        versions: list[bytes | None] = [*self.versions]
        versions[at] = now
        verdict = judge(encode(sample()), versions, self.asked(), 2)
        assert isinstance(verdict, Miss)
        assert verdict.reason == "tag"

    def test_other_tags_in_the_template_are_a_miss(self) -> None:
        """A deployment that changed a template never trusts entries of the old one."""
        ids = ROOT + tag_id("flight:2") + tag_id("carrier:UA")
        verdict = judge(encode(sample()), self.versions, ids, 2)
        assert isinstance(verdict, Miss)
        assert verdict.reason == "retagged"

    def test_unpredicted_tags_ask_again(self) -> None:
        """The named tags are checked at once; the revealed ones need another look."""
        ids = self.asked()[: 2 * TAG_ID_BYTES]
        assert isinstance(judge(encode(sample()), self.versions[:2], ids, 2), Partial)
        stale = judge(encode(sample()), [self.versions[0], b"another!"], ids, 2)
        assert isinstance(stale, Miss)
