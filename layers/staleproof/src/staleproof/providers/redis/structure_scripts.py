"""The Lua scripts of data structures. Each touches keys of one hash slot only.

========  ===========================  ====================================  ===============  ====================
script    KEYS                         ARGV                                  returns          complexity
========  ===========================  ====================================  ===============  ====================
`STAMP`   the structure's key          its first bytes, a fresh stamp,       what lies there  O(1)
                                       milliseconds
`WRITE`   body                         milliseconds, command, arguments      its reply        the command's
`MERGE`   body, a name beside it       milliseconds, HyperLogLogs            its reply        O(1) each, 12 kB
========  ===========================  ====================================  ===============  ====================

`WRITE` writes and sets the time to live in one step: whoever dies in between leaves nothing behind for ever. A script,
not MULTI: in a cluster, a transaction that is redirected in its middle would be torn. It costs a value a copy more than
a plain command, which is why entries go another way (`staleproof.providers.redis.scripts`); elements are small.
"""

from __future__ import annotations

from staleproof.providers.redis.scripts import script

# An ordinary entry stays untouched, and its life as it is; of a long one only the beginning is looked at.
STAMP = script(b"""
local held = redis.pcall('GETRANGE', KEYS[1], 0, #ARGV[2])
if type(held) ~= 'string' then return '' end
if held == '' and redis.call('EXISTS', KEYS[1]) == 0 then
  redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
  return ARGV[2]
end
if #held == #ARGV[2] and string.sub(held, 1, #ARGV[1]) == ARGV[1] then
  redis.call('PEXPIRE', KEYS[1], ARGV[3], 'GT')
end
return held
""")

# Lua's numbers are doubles: a count above 2^53 must not go through them, so it is read again as a text.
WRITE = script(b"""
local reply = redis.pcall(ARGV[2], KEYS[1], unpack(ARGV, 3))
if type(reply) == 'table' and reply.err then return reply end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
if ARGV[2] == 'INCRBY' then return redis.call('GET', KEYS[1]) end
if ARGV[2] == 'HINCRBY' then return redis.call('HGET', KEYS[1], ARGV[3]) end
return reply
""")

MERGE = script(b"""
for at = 2, #ARGV do
  redis.call('SET', KEYS[2], ARGV[at], 'PX', ARGV[1])
  local reply = redis.pcall('PFMERGE', KEYS[1], KEYS[2])
  redis.call('UNLINK', KEYS[2])
  if type(reply) == 'table' and reply.err then return reply end
end
redis.call('PEXPIRE', KEYS[1], ARGV[1])
return 1
""")
