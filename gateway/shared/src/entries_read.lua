-- What gateways share besides limits: entries with a name, a revision and a text. Tells which have changed since a number.
-- KEYS: meta, a hash (born: when the set was made, in milliseconds; changed: the number of the last change); order, a sorted set of
--   names by the number of their last change; texts, a hash of "REVISION TEXT" by name.
-- ARGV: the number of the last change that is known; how many entries at most.
-- Returns born, the time in milliseconds, the number of the last change, and for each entry its name, number and text.
local meta, order, texts = KEYS[1], KEYS[2], KEYS[3]
local time = redis.call('TIME')
local now = string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))
redis.call('HSETNX', meta, 'born', now)
local known = redis.call('HMGET', meta, 'born', 'changed')
local reply = { known[1], now, known[2] or '0' }
local names = redis.call('ZRANGEBYSCORE', order, '(' .. ARGV[1], '+inf', 'WITHSCORES', 'LIMIT', 0, ARGV[2])
for i = 1, #names, 2 do
  local text = redis.call('HGET', texts, names[i])
  if text then
    reply[#reply + 1] = names[i]
    reply[#reply + 1] = names[i + 1]
    reply[#reply + 1] = text
  end
end
return reply
