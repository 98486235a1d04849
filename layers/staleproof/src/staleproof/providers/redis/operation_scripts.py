"""The Lua scripts of operations (`staleproof.ports.operations`). Each touches keys of one slot, all of them declared.

===========  ================  =================================  ===========================  =========
script       KEYS              ARGV                               returns                      cost
===========  ================  =================================  ===========================  =========
`TAKE`       limit             µs a unit, capacity, cost          allowed, used µs, wait µs    O(1)
`TAKE_LOCK`  lock              owner, ttl ms, memory ms           token ("" if busy), left ms  O(1)
`KEEP_LOCK`  lock              owner, token, ttl ms, memory ms    1 if ours                    O(1)
`FREE_LOCK`  lock              owner, token (0 any), memory ms    1 if nobody else had it      O(1)
`FORGET`     all under a name                                     how many there were          O(1)
`PUSH`       list              keep, ttl ms (0 for ever), values  kept, dropped                O(values)
`APPEND`     stream            keep, ttl ms (0 for ever), values  kept, dropped                O(values)
`JSON_PUT`   document          text, ttl ms (0 for ever)          1                            O(text)
===========  ================  =================================  ===========================  =========

Moments are the server's `TIME`, in microseconds; they and all sums here stay below 2^53, where doubles are exact. A key
of another type or form is taken for none and replaced: no value of somebody else's may stop a limit or a lock.
"""

from __future__ import annotations

from staleproof.providers.redis.scripts import script

_NOW = b"""
local function now()
  local clock = redis.call('TIME')
  return clock[1] * 1000000 + clock[2]
end
local function text(key)
  local held = redis.pcall('GET', key)
  return type(held) == 'string' and held or nil
end
"""

# The generic cell rate algorithm (ITU-T I.371): what is stored is the moment at which the limit is full again. One that
# is further ahead than an emptied limit could be comes from a clock that was set back, or a limit that was lowered.
TAKE = script(
    _NOW
    + b"""
local unit, at = tonumber(ARGV[1]), now()
local room, cost = unit * ARGV[2], unit * ARGV[3]
local full = tonumber(text(KEYS[1]) or '')
if not full or not (full > at) then full = at end
if full > at + room then full = at + room end
local wait = full + cost - at - room
if wait > 0 then return {0, full - at, wait} end
full = full + cost
if cost > 0 then
  redis.call('SET', KEYS[1], string.format('%.0f', full), 'PX', math.ceil((full - at) / 1000))
end
return {1, full - at, 0}
"""
)

# A lock is `owner:token:until`, and stays after its end for the sake of its token. The token is above the one before,
# and above the time: whichever of the two a failover, an eviction or a clock spoils, the other holds. One key, not two:
# while its slot is being moved, a script about two keys would have to wait.
_LOCK = (
    _NOW
    + b"""
local function held()
  local owner, token, ending = string.match(text(KEYS[1]) or '', '^(%x+):(%d+):(%d+)$')
  return owner, token, tonumber(ending or 0)
end
local function hold(owner, token, ending, memory)
  redis.call('SET', KEYS[1], string.format('%s:%s:%.0f', owner, token, ending), 'PX', memory)
end
"""
)

TAKE_LOCK = script(
    _LOCK
    + b"""
local owner, token, ending = held()
local at = now()
local taken = owner and ending > at
if taken and owner ~= ARGV[1] then return {'', math.ceil((ending - at) / 1000)} end
if not taken then
  local last = tonumber(token or 0)
  token = string.format('%.0f', last >= at and last < 4503599627370496 and last + 1 or at)
end
hold(ARGV[1], token, at + 1000 * ARGV[2], ARGV[3])
return {token, tonumber(ARGV[2])}
"""
)

KEEP_LOCK = script(
    _LOCK
    + b"""
local owner, token, ending = held()
local at = now()
if owner ~= ARGV[1] or token ~= ARGV[2] or ending <= at then return 0 end
hold(owner, token, at + 1000 * ARGV[3], ARGV[4])
return 1
"""
)

FREE_LOCK = script(
    _LOCK
    + b"""
local owner, token = held()
if owner ~= ARGV[1] or (ARGV[2] ~= '0' and token ~= ARGV[2]) then return 0 end
hold(owner, token, 0, ARGV[3])
return 1
"""
)

_LIVE = b"""
if ARGV[2] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
"""

FORGET = script(b"""
return redis.call('UNLINK', unpack(KEYS))
""")

PUSH = script(
    b"""
if redis.call('TYPE', KEYS[1])['ok'] ~= 'list' then redis.call('UNLINK', KEYS[1]) end
local length, keep = redis.call('LPUSH', KEYS[1], unpack(ARGV, 3)), tonumber(ARGV[1])
redis.call('LTRIM', KEYS[1], 0, keep - 1)
"""
    + _LIVE
    + b"""
local kept = math.min(length, keep)
return {kept, length - kept}
"""
)

APPEND = script(
    b"""
if redis.call('TYPE', KEYS[1])['ok'] ~= 'stream' then redis.call('UNLINK', KEYS[1]) end
for at = 3, #ARGV do redis.call('XADD', KEYS[1], '*', 'v', ARGV[at]) end
local dropped = redis.call('XTRIM', KEYS[1], 'MAXLEN', '=', ARGV[1])
"""
    + _LIVE
    + b"""
return {redis.call('XLEN', KEYS[1]), dropped}
"""
)

JSON_PUT = script(
    b"""
redis.call('JSON.SET', KEYS[1], '$', ARGV[1])
"""
    + _LIVE
    + b"return 1\n"
)
