-- A 429: closes the buckets it speaks of and empties them. What other connections share is closed to them too.
-- KEYS: connection, bucket, bucket, ...    ARGV: wait_ms, why, window_ms of each bucket
local now = now_ms()
local till = string.format('%.0f', now + tonumber(ARGV[1]))
for b = 2, #KEYS do
  local closed = tonumber(redis.call('HGET', KEYS[b], 'c') or 0)
  bucket_store(KEYS[b], 0, tonumber(ARGV[b + 1]), now)
  if closed < tonumber(till) then redis.call('HSET', KEYS[b], 'c', till) end
end
local before = tonumber(redis.call('HGET', KEYS[1], 'closed_until') or 0)
if before < tonumber(till) then
  redis.call('HINCRBY', KEYS[1], 'closed_ms', string.format('%.0f', till - math.max(now, before)))
  redis.call('HSET', KEYS[1], 'closed_until', till, 'closed_why', ARGV[2])
end
redis.call('HDEL', KEYS[1], 'clean_since', 'clean_at')
redis.call('HINCRBY', KEYS[1], 'throttled', 1)
return till
