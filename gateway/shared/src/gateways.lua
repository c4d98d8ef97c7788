-- A gateway says that it lives.
-- KEYS: a hash of gateways and the ends of their leases. ARGV: the gateway's id, milliseconds of a lease; 0: it stops.
-- Returns how many live, and the time in milliseconds.
local key, id, lease = KEYS[1], ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if lease > 0 then
  redis.call('HSET', key, id, string.format('%.0f', now + lease))
  redis.call('PEXPIRE', key, 2 * lease)
else
  redis.call('HDEL', key, id)
end
local all, alive = redis.call('HGETALL', key), 0
for i = 1, #all, 2 do
  if tonumber(all[i + 1]) > now then alive = alive + 1 else redis.call('HDEL', key, all[i]) end
end
return { alive, now }
