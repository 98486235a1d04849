"""The Lua scripts of Bloom filters (`staleproof.ports.operations`): over a bitmap of our own, and over the module's.

============  ==================================  ===============================  =================================
script        KEYS                                ARGV                             returns
============  ==================================  ===============================  =================================
`BEGIN`       building                            head, its last bit, ttl ms       1
`FILL`        building                            build, digests                   1, 0 if it is another's or gone
`SWAP`        building, in use, the module's      build, ttl ms                    1, 0 if it is another's or gone
`ADD`         either                              digests                          new ones, -1 without one
`LOOK`        in use                              digests                          1 or 0 each, nothing without one
`M_BEGIN`     building, its mark                  build, rate, capacity, ttl ms    1
`M_FILL`      building, its mark                  build, digests                   as `FILL`
`M_SWAP`      building, in use, ours, its mark    build, ttl ms                    as `SWAP`
`M_ADD`       either                              digests                          as `ADD`
`M_LOOK`      in use                              digests                          as `LOOK`
============  ==================================  ===============================  =================================

*A bitmap* is one string: its head of sixteen bytes is the build's mark, the number of bits, the number of hashes and
`SB`; the bits follow. So it is there as a whole or not at all, and tells by itself how it is to be read: processes that
were told other shapes may use it. A digest is two 32-bit numbers, a and b; bit i is (a + i b) modulo the bits, after
Kirsch and Mitzenmacher, "Less Hashing, Same Performance". All cost O(digests x hashes).
"""

from __future__ import annotations

from staleproof.providers.redis.scripts import script

_BITMAP = b"""
local function head(key)
  local raw = redis.pcall('GETRANGE', key, 0, 15)
  if type(raw) ~= 'string' or string.sub(raw, 15, 16) ~= 'SB' then return nil end
  local bits, hashes = struct.unpack('<I4I2', string.sub(raw, 9, 14))
  if bits < 1 or redis.call('STRLEN', key) < 16 + math.ceil(bits / 8) then return nil end
  return bits, hashes, string.sub(raw, 1, 8)
end
local function add(key, bits, hashes, digest)
  local a, b = struct.unpack('<I4I4', digest)
  local new = 0
  for i = 0, hashes - 1 do
    if redis.call('SETBIT', key, 128 + (a + i * b) % bits, 1) == 0 then new = 1 end
  end
  return new
end
local function look(key, bits, hashes, digest)
  local a, b = struct.unpack('<I4I4', digest)
  for i = 0, hashes - 1 do
    if redis.call('GETBIT', key, 128 + (a + i * b) % bits) == 0 then return 0 end
  end
  return 1
end
"""

# A `BEGIN` that was sent again may come a second time, late: what was filled since must stay, or rows would be hidden.
BEGIN = script(b"""
if redis.pcall('GETRANGE', KEYS[1], 0, 7) == string.sub(ARGV[1], 1, 8) then return 1 end
redis.call('SET', KEYS[1], ARGV[1])
redis.call('SETBIT', KEYS[1], ARGV[2], 0)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
""")

FILL = script(
    _BITMAP
    + b"""
local bits, hashes, build = head(KEYS[1])
if build ~= ARGV[1] then return 0 end
for at = 2, #ARGV do add(KEYS[1], bits, hashes, ARGV[at]) end
return 1
"""
)

_LIVE = b"""
if ARGV[2] == '0' then redis.call('PERSIST', KEYS[2]) else redis.call('PEXPIRE', KEYS[2], ARGV[2]) end
"""

SWAP = script(
    _BITMAP
    + b"""
local bits, hashes, build = head(KEYS[1])
if build ~= ARGV[1] then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('UNLINK', KEYS[3])
"""
    + _LIVE
    + b"return 1\n"
)

ADD = script(
    _BITMAP
    + b"""
local bits, hashes = head(KEYS[1])
if not bits then return -1 end
local new = 0
for at = 1, #ARGV do new = new + add(KEYS[1], bits, hashes, ARGV[at]) end
return new
"""
)

LOOK = script(
    _BITMAP
    + b"""
local bits, hashes = head(KEYS[1])
local found = {}
for at = 1, bits and #ARGV or 0 do found[at] = look(KEYS[1], bits, hashes, ARGV[at]) end
return found
"""
)

M_BEGIN = script(b"""
if redis.pcall('GET', KEYS[2]) == ARGV[1] and redis.call('EXISTS', KEYS[1]) == 1 then return 1 end
redis.call('UNLINK', KEYS[1])
redis.call('BF.RESERVE', KEYS[1], ARGV[2], ARGV[3])
redis.call('PEXPIRE', KEYS[1], ARGV[4])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[4])
return 1
""")

# The module would make a filter that is not there, without what was in it before: so it is looked for first.
M_FILL = script(b"""
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if #ARGV > 1 then redis.call('BF.MADD', KEYS[1], unpack(ARGV, 2)) end
return 1
""")

M_SWAP = script(
    b"""
if redis.pcall('GET', KEYS[4]) ~= ARGV[1] or redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('RENAME', KEYS[1], KEYS[2])
redis.call('UNLINK', KEYS[3], KEYS[4])
"""
    + _LIVE
    + b"return 1\n"
)

M_ADD = script(b"""
if redis.call('EXISTS', KEYS[1]) == 0 then return -1 end
local new = 0
for _, added in ipairs(redis.call('BF.MADD', KEYS[1], unpack(ARGV))) do
  if added == 1 or added == true then new = new + 1 end
end
return new
""")

M_LOOK = script(b"""
if redis.call('EXISTS', KEYS[1]) == 0 then return {} end
return redis.call('BF.MEXISTS', KEYS[1], unpack(ARGV))
""")
