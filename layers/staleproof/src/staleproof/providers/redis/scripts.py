"""The Lua scripts. Each touches keys of one hash slot only, takes short arguments, and never a value.

==========  ==================================  ==========================  ============  =============
script      KEYS                                ARGV                        returns       complexity
==========  ==================================  ==========================  ============  =============
`PROMOTE`   lease, entry, staged entry          lease name, keep (1 or 0)   1 if stored   O(1)
`RELEASE`   lease                               lease name                  1 if ours     O(1)
`GUARD`     guard                               a fresh guard               what stands   O(1), 4 kB
`FENCE`     least row version of a tag          row version, milliseconds   the maximum   O(1)
`EXPIRE`    entry                               seen, new end, ttl in ms    1 if moved    O(1)
`SOFTEN_TAG`  version of a tag                  new version, moment         1 if it stood  O(1), 56 bytes
`SOFTEN_KEY`  entry, lease (may be left out)    moment                      1 if it stays  O(1)
==========  ==================================  ==========================  ============  =============

A value travels in a plain `SET` to a staged key, and `PROMOTE` renames it: a script's cost grows
with its arguments, a rename's does not. If the staged key was refused or evicted meanwhile, nothing is stored, and the
lease is free all the same: nobody is to wait for a load that is over.
"""

from __future__ import annotations

from hashlib import sha1
from typing import NamedTuple


class Script(NamedTuple):
    """A script's text, and the digest by which a server that has met it knows it."""

    body: bytes
    digest: str


def script(body: bytes) -> Script:
    """Return *body*, Lua, as a script."""
    return Script(body, sha1(body, usedforsecurity=False).hexdigest())


PROMOTE = script(b"""
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  redis.call('UNLINK', KEYS[3])
  return 0
end
redis.call('DEL', KEYS[1])
if redis.pcall('RENAME', KEYS[3], KEYS[2])['err'] then return 0 end
if ARGV[2] == '1' then redis.call('PERSIST', KEYS[2]) end
return 1
""")

RELEASE = script(b"""
if redis.call('GET', KEYS[1]) == ARGV[1] then return redis.call('DEL', KEYS[1]) end
return 0
""")

# A fresh guard is written only over one that nobody may rely on. Unconditionally, a second run of the same step could
# put back what the first run wrote, and hide the bumps between. By its text: it is needed once in a guard's life.
GUARD = script(b"""
local held = redis.pcall('GET', KEYS[1])
if type(held) == 'string' and #held == #ARGV[1] and string.sub(held, 1, 8) ~= string.rep('\\0', 8) then return held end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
""")

# Row versions are compared as decimal strings: Lua's numbers are doubles and lose digits above 2^53.
FENCE = script(b"""
local known = redis.pcall('GET', KEYS[1])
if type(known) ~= 'string' then known = false end
local given = ARGV[1]
if known and (#known > #given or (#known == #given and known > given)) then given = known end
local left = redis.call('PTTL', KEYS[1])
if left < tonumber(ARGV[2]) then left = tonumber(ARGV[2]) end
redis.call('SET', KEYS[1], given, 'PX', left)
return given
""")

# An entry's end stands behind its tags, whose number stands in its start (see `staleproof.entry`). Moments are eight
# bytes, compared as strings: Lua's numbers would do, but need not.
_END = b"""
local function end_of(key)
  local start = redis.pcall('GETRANGE', key, 0, 7)
  if type(start) ~= 'string' or #start < 8 or string.byte(start, 1) ~= 0xE2 then return nil end
  local at = 16 + 14 * (string.byte(start, 3) + 256 * string.byte(start, 4))
  if redis.call('STRLEN', key) < at + 24 then return nil end
  return at
end
local function move(key, at, moment, flags)
  redis.call('SETRANGE', key, at, moment)
  redis.call('SETRANGE', key, 6, flags .. '\\0')
end
"""

EXPIRE = script(
    _END
    + b"""
local at = end_of(KEYS[1])
if not at or redis.call('GETRANGE', KEYS[1], at, at + 7) ~= ARGV[1] then return 0 end
if string.byte(redis.call('GETRANGE', KEYS[1], 6, 6)) % 4 >= 2 then return 0 end
if ARGV[1] ~= ARGV[2] then move(KEYS[1], at, ARGV[2], '\\1') end
if ARGV[3] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[3]) end
return 1
"""
)

# The old version stays behind the new one, with the moment at which it ended. A missing one stays missing: a miss.
SOFTEN_TAG = script(b"""
local held = redis.pcall('GET', KEYS[1])
if type(held) ~= 'string' or #held < 8 then redis.call('UNLINK', KEYS[1]) return 0 end
local left = redis.call('PTTL', KEYS[1])
local kept = string.sub(ARGV[1] .. string.sub(held, 1, 8) .. ARGV[2] .. string.sub(held, 9), 1, 56)
if left > 0 then redis.call('SET', KEYS[1], kept, 'PX', left) else redis.call('SET', KEYS[1], kept) end
return 1
""")

# An entry whose end cannot be moved goes. The lease goes in any case, here or before: a load under way must not store.
SOFTEN_KEY = script(
    _END
    + b"""
if KEYS[2] then redis.call('UNLINK', KEYS[2]) end
local at = end_of(KEYS[1])
if not at then redis.call('UNLINK', KEYS[1]) return 0 end
move(KEYS[1], at, ARGV[1], '\\3')
return 1
"""
)
