"""Every command that the library sends, so that a user's permissions can be tried without using a cache in earnest.

A test runs the library against a server, and holds this table against what that server then counted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from staleproof.cli.doctor_patient import Patient
    from staleproof.providers.redis.exchange import Command

KEYS = ("text", "other", "stream", "table", "ranks", "list", "members", "number", "sketch", "places")
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
    Use(
        "limits, locks, lists and filters",
        """\
TYPE <list>
LPUSH <list> v
LTRIM <list> 0 9
LRANGE <list> 0 9
XLEN <stream>
SETBIT <number> 7 0
GETBIT <number> 7""",
        needed=False,
    ),
    Use("finding modules", "COMMAND INFO GET", needed=False),
    Use(
        "data structures",
        """\
EXISTS <number>
INCRBY <number> 1
INCRBYFLOAT <number> 0.5
SETBIT <number> 0 0
GETBIT <number> 0
BITCOUNT <number>
BITPOS <number> 1
PFADD <sketch> m
PFCOUNT <sketch>
PFMERGE <sketch>
LPUSH <list> a
RPUSH <list> b c d
LPOP <list>
RPOP <list>
LRANGE <list> 0 -1
LTRIM <list> 0 1
LLEN <list>
LINDEX <list> 0
HMGET <table> f
HGETALL <table>
HEXISTS <table> f
HLEN <table>
HINCRBY <table> n 1
HINCRBYFLOAT <table> n 0.5
SADD <members> a b
SREM <members> b
SISMEMBER <members> a
SMISMEMBER <members> a
SMEMBERS <members>
SRANDMEMBER <members> 1
SCARD <members>
SSCAN <members> 0
SPOP <members>
ZINCRBY <ranks> 1 m
ZSCORE <ranks> m
ZMSCORE <ranks> m
ZRANK <ranks> m
ZREVRANK <ranks> m
ZRANGE <ranks> 0 -1
ZCOUNT <ranks> 0 1
ZREM <ranks> n
ZREMRANGEBYRANK <ranks> 9 9
ZCARD <ranks>
XLEN <stream>
GEOADD <places> 1 2 m
GEOPOS <places> m
GEODIST <places> m m
GEOSEARCH <places> FROMMEMBER m BYRADIUS 1 m""",
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
