-- Puts right what can be derived, every few seconds and once for all workers: nothing that got lost
-- (an entry, a count) may starve anybody, nor may a clock that was put back. Finding nothing to do
-- is the rule.
-- KEYS: healed, connections, due, due-now, due-doubts, leases, offers, seats-of, offered-of, hold,
--   workers, loading, notices, gathering
-- ARGV: prefix, every_ms, lease_ms, offer_ms, settle_ms    Returns what was put right, 0 if
--   nothing; false when it is too soon.
local prefix, every_ms, lease_ms, offer_ms, settle_ms =
  ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now, mended = now_ms(), 0
-- A time rather than a mark with an expiry, which would run on the clock that was put back
local last = tonumber(redis.call('GET', KEYS[1])) or 0
if last <= now and now - last < every_ms then return false end
redis.call('SET', KEYS[1], string.format('%.0f', now))

-- No time lies further ahead than it can have been set: else the clock was put back meanwhile
local function cap(zset, most_ms)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', zset, now + most_ms + 1000, '+inf', 'LIMIT', 0, 1000)) do
    redis.call('ZADD', zset, now + most_ms, member)
    mended = mended + 1
  end
end
cap(KEYS[6], lease_ms)
cap(KEYS[7], offer_ms)
cap(KEYS[11], 0)
cap(KEYS[12], 0)
cap(KEYS[14], 300000)
-- Where it may have been set as far ahead as anybody likes (Microsoft's Retry-After): what lies
-- behind the last time of this was set before the clock was put back, and is to come as much later
-- than now as it was to come then
local back = last - now
if back > 1000 then
  for _, connection in ipairs(redis.call('SMEMBERS', KEYS[2])) do
    local key = prefix .. ':connection:' .. connection
    local names = { 'closed_until', 'away_until', 'probe_at', 'first', 'good_at', 'clean_since', 'clean_at' }
    for n, at in ipairs(redis.call('HMGET', key, unpack(names))) do
      at = tonumber(at) or 0
      if at > (n <= 4 and last or now) then -- the others are times gone by
        redis.call('HSET', key, names[n], string.format('%.0f', n <= 4 and at - back or math.min(now, at - back)))
        mended = mended + 1
      end
    end
  end
  for _, job in ipairs(redis.call('ZRANGEBYSCORE', KEYS[13], last, '+inf')) do
    redis.call('ZINCRBY', KEYS[13], -back, job)
    mended = mended + 1
  end
end
-- Who is due later than in a minute is looked at sooner, which costs nothing: the reason is asked
-- for then (`tick`)
for z = 3, 5 do
  for _, connection in ipairs(redis.call('ZRANGEBYSCORE', KEYS[z], now + 61000, '+inf', 'LIMIT', 0, 1000)) do
    redis.call('ZADD', KEYS[z], now + 60000, connection)
  end
end

-- Seats in use, counted anew
local seats, offered = {}, {}
for z = 6, 7 do
  for _, ticket in ipairs(redis.call('ZRANGE', KEYS[z], 0, -1)) do
    local connection = parse_ticket(ticket).connection
    seats[connection] = (seats[connection] or 0) + 1
    if z == 7 then offered[connection] = (offered[connection] or 0) + 1 end
  end
end
local function recount(key, truth)
  local known = redis.call('HGETALL', key)
  local seen = {}
  for k = 1, #known, 2 do
    seen[known[k]] = true
    if tonumber(known[k + 1]) ~= (truth[known[k]] or 0) then mended = mended + 1 end
    if not truth[known[k]] then
      redis.call('HDEL', key, known[k])
    elseif tonumber(known[k + 1]) ~= truth[known[k]] then
      redis.call('HSET', key, known[k], truth[known[k]])
    end
  end
  for connection, n in pairs(truth) do
    if not seen[connection] then
      redis.call('HSET', key, connection, n)
      mended = mended + 1
    end
  end
end
recount(KEYS[8], seats)
recount(KEYS[9], offered)

-- Connections with work that nobody would look at: so many at a time, in turn, for there may be
-- thousands that have none
local everything_held = redis.call('EXISTS', KEYS[10]) == 1
local up_to = KEYS[1] .. ':up-to'
local scanned = redis.call('SSCAN', KEYS[2], redis.call('GET', up_to) or '0', 'COUNT', 500)
redis.call('SET', up_to, scanned[1])
for _, connection in ipairs(scanned[2]) do
  local bulk, single = rotation_of(prefix, connection, 'b'), rotation_of(prefix, connection, 'i')
  local doubts = prefix .. ':connection:' .. connection .. ':doubts'
  if redis.call('EXISTS', bulk, single, doubts) > 0 then
    local gate = redis.call('HMGET', prefix .. ':connection:' .. connection, 'gate', 'probe_at')
    if not everything_held and (gate[1] ~= 'held' or gate[2]) then
      for lane, rotation in pairs({ b = bulk, i = single }) do
        if redis.call('EXISTS', rotation) == 1 then
          mended = mended + redis.call('ZADD', due_of(prefix, lane), 'NX', now, connection)
        end
      end
    end
    if redis.call('EXISTS', doubts) == 1 then
      cap(doubts, math.max(60000, settle_ms))
      mended = mended + redis.call('ZADD', KEYS[5], 'NX', now, connection)
    end
  end
end
return mended
