"""Every command that the library sends, so that a user's permissions can be tried without using a cache in earnest.

A test runs the library against a server, and holds this table against what that server then counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from staleproof.cli.doctor_patient import Patient
    from staleproof.providers.redis.exchange import Command

KEYS = ("text", "other", "stream", "table", "ranks")
"""What a probe writes; all of it goes within a minute, and is removed at the end."""

WORDS = {"<script>": "return redis.call('GET', KEYS[1])", "<unknown>": "0" * 40, "<minute>": "60000"}


class Use(NamedTuple):
    """What some commands are for.

    Attributes:
        purpose: what does not work without them.
        text: the commands as they are tried, a line each, in this order.
        needed: whether a cache cannot do without them.
    """

    purpose: str
    text: str
    needed: bool = True

    def commands(self, patient: Patient) -> list[Command]:
        """Return the commands, on keys that nobody else has."""
        words: dict[str, str | bytes] = {**WORDS, **{f"<{name}>": patient.probe_key(name) for name in KEYS}}
        return [tuple(words.get(word, word) for word in line.split()) for line in self.text.splitlines()]


USES = (
    Use("reading", "MGET <text> <other>"),
    Use(
        "loading and storing",
        """\
SET <text> v NX GET PX <minute>
PEXPIRE <text> <minute> GT
GET <text>
GETRANGE <text> 0 0
SET <other> v PX <minute>
EVAL <script> 1 <text>
EVALSHA <unknown> 1 <text>
PTTL <text>
STRLEN <text>
SETRANGE <text> 0 w
PERSIST <other>
RENAME <other> <text>
DEL <other>""",
    ),
    Use(
        "invalidating",
        """\
BITFIELD <other> INCRBY u32 #0 1
XADD <stream> * d v
XTRIM <stream> MINID 0
HVALS <table>
TIME""",
    ),
    Use(
        "near caches",
        """\
XRANGE <stream> - + COUNT 1
XREVRANGE <stream> + - COUNT 1""",
    ),
    Use(
        "replication",
        """\
HSETNX <table> f v
HGET <table> f
HSET <table> f w
HKEYS <table>
HDEL <table> g
ZADD <ranks> 1 m
ZRANGEBYSCORE <ranks> 0 1
ZREMRANGEBYSCORE <ranks> 0 0""",
        needed=False,
    ),
    Use("durability='replicated'", "WAIT 0 1", needed=False),
    Use("listing keys", "SCAN 0 MATCH <text> COUNT 1", needed=False),
    Use(
        "forgetting",
        "\n".join(f"PEXPIRE <{name}> <minute>" for name in KEYS)
        + "\nUNLINK "
        + " ".join(f"<{name}>" for name in KEYS),
    ),
)
