-- A 429. The bucket that it probably means, of those that it may mean the emptiest in our picture,
-- is closed and learned from. At a 429 that bucket was empty, whatever we thought: what was
-- accepted since it was last known to be empty (or full), over the time since then, is what comes
-- in for us. So at each 429 the rate is set to that, after it has crept up in between
-- (bucket_read). What was begun before we knew of a 429 belongs to it, nothing is learned from it
-- anew. Refused requests may count on Graph's side, and so may those on the wire: they are taken
-- off, with a reserve. If they do not count nothing is lost, Graph's bucket is fuller than ours.
-- Nothing accepted since the last 429: the next row is a try, alone (begin_batch), and the rate is
-- left as it is, as nothing was measured.
-- KEYS: connection, bucket, bucket, ...
-- ARGV: wait_ms, why, rows refused, rows begun after them, ms since they were begun, rows of a
--   batch, then amount, window_ms, cost of each bucket
-- Returns {milliseconds until the next try, 1 when this is a new 429 rather than one more of the
--   last}
local wait_ms, why, refused, since, elapsed, batch =
  tonumber(ARGV[1]), ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]),
  tonumber(ARGV[6])
local now = now_ms()
local wait = wait_ms
local key, k, new = nil, nil, 1
for b = 2, #KEYS do
  local a = 7 + (b - 2) * 3
  local amount, window, cost = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  local one = bucket_read(KEYS[b], amount, window, now)
  if not k or one.level / amount < k.level / k.amount then
    key, k = KEYS[b], one
    k.amount, k.window, k.cost = amount, window, cost
  end
end
if k then
  local f = redis.call('HMGET', key, BUCKET.refused_at, BUCKET.taken_then, BUCKET.counted_from)
  local full = k.amount / k.window
  local taken = k.taken - refused * k.cost
  local least = -0.8 * k.amount -- where Graph's own account ends: 1.8 of the limit
  redis.call('HSET', key, BUCKET.taken, string.format('%.3f', taken), BUCKET.refused_at, string.format('%.0f', now))
  if f[1] and now - elapsed < tonumber(f[1]) and now >= tonumber(f[1]) then
    new = 0
    bucket_store(key, math.max(least, k.level - refused * k.cost), k.window, now)
  else
    local before, at = taken - since * k.cost, now - elapsed / 2 -- when it was empty, on Graph's side
    local nothing = f[2] and before <= tonumber(f[2])
    redis.call('HSET', key, BUCKET.taken_then, string.format('%.3f', before))
    if nothing then redis.call('HSET', key, BUCKET.trying, '1') end
    local kind, count, began = string.match(f[3] or '', '^(%a) (%S+) (%S+)$')
    local from_full = kind ~= 'e'
    if not nothing or from_full then
      local weight = math.min(k.amount / 2, 5 * batch * k.cost) / full -- of what we believed until now, as a time
      local span = math.max(0, at - (tonumber(began) or now))
      local came = math.max(0, before - (tonumber(count) or 0) - (from_full and k.amount or 0))
      local rate = (came + k.rate * weight) / (span + weight)
      -- A full bucket of fixed windows looks like one into which nothing comes
      if from_full then rate = math.max(rate, k.rate / 2) end
      k.rate = math.max(full / 100, math.min(full, rate))
      redis.call('HSET', key, BUCKET.rate, string.format('%.12f', k.rate), BUCKET.rate_at, string.format('%.0f', now),
        BUCKET.doubt, string.format('%.6f', from_full and not k.learned and 0.3 or 0.1 * weight / (span + weight)),
        BUCKET.counted_from, string.format('e %.3f %.0f', before, at))
    end
    local reserve = math.min(2 * batch * k.cost, k.amount / 4)
    local level = math.min(k.level, elapsed / 2 * k.rate - (refused + since) * k.cost - reserve)
    k.level = math.max(least, level)
    bucket_store(key, k.level, k.window, now)
    wait = math.max(wait, math.ceil((k.cost - k.level) / k.rate))
  end
  local closed = now + wait_ms
  if closed > k.closed then redis.call('HSET', key, BUCKET.closed, string.format('%.0f', closed)) end
end
local till = now + wait
local before = tonumber(redis.call('HGET', KEYS[1], 'closed_until') or 0)
if before < till then
  redis.call('HINCRBY', KEYS[1], 'closed_ms', string.format('%.0f', till - math.max(now, before)))
  redis.call('HSET', KEYS[1], 'closed_until', string.format('%.0f', till), 'closed_why', why)
end
redis.call('HDEL', KEYS[1], 'clean_since', 'clean_at')
redis.call('HINCRBY', KEYS[1], 'throttled', 1)
return { wait, new }
