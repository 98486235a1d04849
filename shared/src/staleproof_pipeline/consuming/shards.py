"""The shards of a DynamoDB stream: which may be read, from where, and what is gone. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from staleproof_pipeline.consuming.shard_ledger import BEGUN, END

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class Shard(NamedTuple):
    """A shard as the stream lists it.

    Attributes:
        id: its name.
        parent: the shard that it continues, "" for none.
        closed: nothing more is written to it.
    """

    id: str
    parent: str
    closed: bool

    @classmethod
    def of(cls, described: dict[str, Any]) -> Shard:
        """Read one as the API describes it."""
        ending = described.get("SequenceNumberRange", {}).get("EndingSequenceNumber")
        return cls(str(described["ShardId"]), str(described.get("ParentShardId", "")), ending is not None)


def readable(shards: Iterable[Shard], marks: Mapping[str, str]) -> list[str]:
    """Return the shards that may be read now: not read through, and their parents are, or are gone."""
    listed = {each.id: each for each in shards}
    return [
        each.id
        for each in listed.values()
        if marks.get(each.id) != END and (each.parent not in listed or marks.get(each.parent) == END)
    ]


def vanished(shards: Iterable[Shard], marks: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """Return the shards with a mark that are not listed any more: those not read through, and those that were."""
    listed = {each.id for each in shards}
    gone = [name for name in marks if name not in listed]
    return [each for each in gone if marks[each] != END], [each for each in gone if marks[each] == END]


def first_marks(shards: Iterable[Shard]) -> dict[str, str]:
    """Return the marks with which a reader begins at the newest records: what is closed is past."""
    return {each.id: END if each.closed else BEGUN for each in shards}


def place(mark: str | None, *, latest: bool) -> dict[str, str]:
    """Return the arguments that make an iterator behind *mark*.

    A shard that was begun at its newest record is begun so only once: after that nothing may be skipped.
    """
    if latest:
        return {"ShardIteratorType": "LATEST"}
    if mark is None or mark == BEGUN:
        return {"ShardIteratorType": "TRIM_HORIZON"}
    return {"ShardIteratorType": "AFTER_SEQUENCE_NUMBER", "SequenceNumber": mark}
