-- A gateway tells one entry. It counts if the gateway knew what is here; if not, the gateway gets what is here, and decides.
-- KEYS: as in entries_read.lua, and gone: a sorted set of the names of deleted entries by when that was, in milliseconds.
-- ARGV: the entry's name; the revision that the gateway last knew to be here; its revision now; its text; 1 if it is deleted, else 0;
--   for how many milliseconds deleted entries are remembered.
-- Returns "" if the entry is here now, else the "REVISION TEXT" that is.
local meta, order, texts, gone = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local name, base, revision, text = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local here = redis.call('HGET', texts, name)
if here then
  if here == ARGV[3] .. ' ' .. text then return '' end
  local other = tonumber(string.match(here, '^%d+'))
  if base < other or (base == other and revision <= other) then return here end
end

redis.call('HSETNX', meta, 'born', string.format('%.0f', now))
local number = redis.call('HINCRBY', meta, 'changed', 1)
redis.call('HSET', texts, name, ARGV[3] .. ' ' .. text)
redis.call('ZADD', order, number, name)
if ARGV[5] == '1' then redis.call('ZADD', gone, now, name) else redis.call('ZREM', gone, name) end
for _, old in ipairs(redis.call('ZRANGEBYSCORE', gone, '-inf', '(' .. (now - tonumber(ARGV[6])), 'LIMIT', 0, 100)) do
  redis.call('HDEL', texts, old)
  redis.call('ZREM', order, old)
  redis.call('ZREM', gone, old)
end
return ''
