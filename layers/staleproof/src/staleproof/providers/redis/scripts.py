"""The Lua scripts. Each touches keys of one hash slot only, takes short arguments, and never a value.

==========  ==================================  ==========================  ============  =============
script      KEYS                                ARGV                        returns       complexity
==========  ==================================  ==========================  ============  =============
`PROMOTE`   lease, entry, staged entry          lease name, keep (1 or 0)   1 if stored   O(1)
`RELEASE`   lease                               lease name                  1 if ours     O(1)
`GUARD`     guard                               a fresh guard               what stands   O(1), 4 kB
`FENCE`     least row version of a tag          row version, milliseconds   the maximum   O(1)
==========  ==================================  ==========================  ============  =============

A value travels in a plain `SET` to a staged key, and `PROMOTE` renames it: a script's cost grows
with its arguments, a rename's does not. If the staged key was evicted meanwhile, nothing is stored.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple


class Script(NamedTuple):
    """A script's text, and the digest by which a server that has met it knows it."""

    body: bytes
    digest: str


def _script(body: bytes) -> Script:
    return Script(body, sha1(body, usedforsecurity=False).hexdigest())


PROMOTE = _script(b"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  redis.call('UNLINK', KEYS[3])
  return 0
end
if redis.pcall('RENAME', KEYS[3], KEYS[2])['err'] then return 0 end
if ARGV[2] == '1' then redis.call('PERSIST', KEYS[2]) end
redis.call('DEL', KEYS[1])
return 1
""")

RELEASE = _script(b"""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")

# A fresh guard is written only over one that nobody may rely on. Unconditionally, a second run of the same step could
# put back what the first run wrote, and hide the bumps between. By its text: it is needed once in a guard's life.
GUARD = _script(b"""
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' and #held == #ARGV[1] and string.sub(held, 1, 8) ~= string.rep('\\0', 8) then return held end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
""")

# Row versions are compared as decimal strings: Lua's numbers are doubles and lose digits above 2^53.
FENCE = _script(b"""
local known = redis.pcall('GET', KEYS[1])
if type(known) ~= 'string' then known = false end
local given = ARGV[1]
if known and (#known > #given or (#known == #given and known > given)) then given = known end
local left = redis.call('PTTL', KEYS[1])
if left < tonumber(ARGV[2]) then left = tonumber(ARGV[2]) end
redis.call('SET', KEYS[1], given, 'PX', left)
return given
""")
