"""The scripts that run in Redis. Each is one step for all other clients.

Keys, all with one prefix (in braces, so that they are on one node of a cluster):

    order        order of the last message of all channels, about microseconds since 1970: it
                 increases also after Redis has lost its data
    epoch        random text, made with `order`. Another one says that the data was lost.
    h:CHANNEL    stream of the messages that are kept; the id of an entry is ORDER-0
    d:CHANNEL    hash: orders of the last message, and of the last one that was discarded
    p:CHANNEL    hash of the connections: PROCESS NUL NAME to COUNT:END

Messages are published on the Redis channel m:CHANNEL as `EPOCH-ORDER PAYLOAD`.
"""

from __future__ import annotations

__all__ = ["PRESENT", "PUBLISH", "READ"]

EPOCH = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
if redis.call('SET', KEYS[2], ARGV[1], 'NX') then
  redis.call('SET', KEYS[1], string.format('%.0f', now))
end
local epoch = redis.call('GET', KEYS[2])
"""

# KEYS: order epoch history discarded. ARGV: new epoch, payload, entries to keep, microseconds to
# keep them (0: no limit), Redis channel, milliseconds that the hash lives without messages.
PUBLISH = f"""{EPOCH}
local order = math.max(now, tonumber(redis.call('GET', KEYS[1]) or '0') + 1)
local text = string.format('%.0f', order)
redis.call('SET', KEYS[1], text)
local keep, age = tonumber(ARGV[3]), tonumber(ARGV[4])
local discarded = nil
if keep == 0 then
  discarded = text
else
  redis.call('XADD', KEYS[3], text .. '-0', 'm', ARGV[2])
  local excess = redis.call('XLEN', KEYS[3]) - keep
  if excess > 0 then
    local old = redis.call('XRANGE', KEYS[3], '-', '+', 'COUNT', excess)
    for _, entry in ipairs(old) do
      discarded = string.match(entry[1], '%d+')
      redis.call('XDEL', KEYS[3], entry[1])
    end
  end
  if age > 0 then
    redis.call('PEXPIRE', KEYS[3], math.ceil(age / 1000))
  else
    redis.call('PERSIST', KEYS[3])
  end
end
redis.call('HSET', KEYS[4], 'last', text)
if discarded then redis.call('HSET', KEYS[4], 'discarded', discarded) end
redis.call('PEXPIRE', KEYS[4], ARGV[6])
redis.call('PUBLISH', ARGV[5], epoch .. '-' .. text .. ' ' .. ARGV[2])
return {{epoch, text}}
"""

# KEYS: order epoch history discarded. ARGV: new epoch, first order to return ('' for none).
# Returns the epoch, the order of the last message of all channels, the time, the orders of the
# last message of the channel and of the last one that was discarded, and the entries.
READ = f"""{EPOCH}
local state = redis.call('HMGET', KEYS[4], 'last', 'discarded')
local entries = {{}}
if ARGV[2] ~= '' then entries = redis.call('XRANGE', KEYS[3], ARGV[2], '+') end
return {{epoch, redis.call('GET', KEYS[1]) or '0', string.format('%.0f', now),
  state[1] or '0', state[2] or '0', entries}}
"""

# KEYS: connections. ARGV: process, milliseconds that a note lives, then a name ('=NAME', or '-'
# without) and a number of connections, again and again. Returns the names that have joined
# ('+NAME') or left ('-NAME'), also those of processes whose notes have ended.
PRESENT = """
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local before, total, gone = {}, {}, {}
local all = redis.call('HGETALL', KEYS[1])
for i = 1, #all, 2 do
  local cut = string.find(all[i], '\\0', 1, true)
  local name = string.sub(all[i], cut + 1)
  local count, ends = string.match(all[i + 1], '(%d+):(%d+)')
  before[name] = (before[name] or 0) + count
  if tonumber(ends) > now then
    total[name] = (total[name] or 0) + count
  else
    redis.call('HDEL', KEYS[1], all[i])
    gone[name] = true
  end
end
for i = 3, #ARGV, 2 do
  local name, count = ARGV[i], tonumber(ARGV[i + 1])
  local field = ARGV[1] .. '\\0' .. name
  local old = redis.call('HGET', KEYS[1], field)
  if old then total[name] = total[name] - string.match(old, '(%d+):') end
  if count > 0 then
    redis.call('HSET', KEYS[1], field, count .. ':' .. string.format('%.0f', now + ARGV[2]))
    total[name] = (total[name] or 0) + count
  else
    redis.call('HDEL', KEYS[1], field)
  end
  gone[name] = true
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
local result = {}
for name in pairs(gone) do
  if string.sub(name, 1, 1) == '=' then
    local was, is = before[name] or 0, total[name] or 0
    if was == 0 and is > 0 then result[#result + 1] = '+' .. string.sub(name, 2) end
    if was > 0 and is == 0 then result[#result + 1] = '-' .. string.sub(name, 2) end
  end
end
return result
"""
