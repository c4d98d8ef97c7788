-- One gateway tells what it borrowed, returned and spent of one limit in one window, and may ask to borrow more. All that it tells
-- are totals since the window began, so that a message that is lost, repeated or late changes nothing.
--
-- KEYS: the bucket, a hash:
--   lent      what all gateways borrowed and did not return
--   spent     what they said that their requests used, and what gateways held whose leases are over
--   lost      what a server before this one had lent, and nobody told this one of
--   floor     what is known to have been taken before the server lost its memory, until it lends again
--   next      when the next lease ends, in milliseconds
--   b:ID r:ID s:ID x:ID   a gateway's totals, and the end of its lease; below 0: its lease was over then
-- ARGV: the gateway's id; the limit; 1 if what is borrowed is held and never spent, else 0; borrowed, returned, spent; the least to
--   lend, what it would like; what it knows to have been taken before the server's life; milliseconds of a lease; milliseconds
--   until the bucket may go, or 0; 1 if the gateway stops, else 0.
-- Returns what was lent now, the gateway's borrowed and returned, what all have taken, what is spent, and the time in milliseconds.
local key, id = KEYS[1], ARGV[1]
local most, holds = tonumber(ARGV[2]), ARGV[3] == '1'
local borrowed, returned, spent = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])
local min, want, floor = tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9])
local lease, keep, stops = tonumber(ARGV[10]), tonumber(ARGV[11]), ARGV[12] == '1'
local DAY = 86400000

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)

local function text(number)
  return string.format('%.0f', number)
end

local function sooner(one, other)
  if one == 0 then return other end
  return math.min(one, other)
end

-- What a gateway holds whose lease is over is free if it was held for requests, which have ended with it. If it was for spending,
-- it counts as spent: nobody knows what the gateway did before it died. If it lives, it will say.
local function expire()
  local all, known = redis.call('HGETALL', key), {}
  for i = 1, #all, 2 do known[all[i]] = all[i + 1] end
  local lent, used, next = tonumber(known.lent or '0'), tonumber(known.spent or '0'), 0
  for field, value in pairs(known) do
    if string.sub(field, 1, 2) == 'x:' then
      local other, ends = string.sub(field, 3), tonumber(value)
      local b, r, s = 'b:' .. other, 'r:' .. other, 's:' .. other
      local held = tonumber(known[b] or '0') - tonumber(known[r] or '0')
      if ends > now then
        next = sooner(next, ends)
      elseif holds then
        lent = lent - held
        redis.call('HDEL', key, b, r, s, field)
      elseif ends > 0 then
        used = used + held - tonumber(known[s] or '0')
        redis.call('HSET', key, s, text(held), field, text(-now))
        next = sooner(next, now + DAY)
      elseif DAY - ends <= now then
        redis.call('HDEL', key, b, r, s, field)
      else
        next = sooner(next, DAY - ends)
      end
    end
  end
  redis.call('HSET', key, 'lent', text(lent), 'spent', text(used), 'next', text(next))
end

local next = tonumber(redis.call('HGET', key, 'next') or '0')
if next > 0 and next <= now then expire() end

local b, r, s, x = 'b:' .. id, 'r:' .. id, 's:' .. id, 'x:' .. id
local read = redis.call('HMGET', key, 'lent', 'spent', 'lost', 'floor', 'next', b, r, s)
local function at(place)
  return tonumber(read[place] or '0')
end
local lent, used, lost, before = at(1), at(2), at(3), at(4)
next = at(5)

-- What a gateway returns that this server knows is no longer taken.
if at(6) > 0 then before = math.max(0, before - math.max(0, returned - at(7))) end
borrowed, returned = math.max(borrowed, at(6)), math.max(returned, at(7))
lent = lent + (borrowed - at(6)) - (returned - at(7))
used = used + (spent - at(8))

before = math.max(before, floor)
local taken, granted = math.max(lent + lost, before), 0
local room = most - taken
if want > 0 and room > 0 and room >= min then
  -- The less is left, the less one gateway gets ahead of its requests.
  granted = math.max(min, math.min(want, math.floor(room / 4)))
  lost, before = taken - lent, 0
  borrowed, lent, taken = borrowed + granted, lent + granted, taken + granted
end

if borrowed > 0 or spent > 0 or before > 0 then
  redis.call('HSET', key, 'lent', text(lent), 'spent', text(used), 'lost', text(lost), 'floor', text(before))
  local held = borrowed - returned - spent
  if held > 0 then
    local ends = now + lease
    redis.call('HSET', key, b, text(borrowed), r, text(returned), s, text(spent), x, text(ends), 'next', text(sooner(next, ends)))
  elseif holds then
    redis.call('HDEL', key, b, r, s, x)
  elseif stops then
    -- Its sums stay; what it said itself goes in a day, as that of one whose lease is over.
    redis.call('HSET', key, b, text(borrowed), r, text(returned), s, text(spent), x, text(-now), 'next', text(sooner(next, now + DAY)))
  else
    redis.call('HSET', key, b, text(borrowed), r, text(returned), s, text(spent))
    redis.call('HDEL', key, x)
  end
  if keep > 0 then redis.call('PEXPIRE', key, keep) else redis.call('PERSIST', key) end
end
return { granted, borrowed, returned, taken, used + lost, now }
