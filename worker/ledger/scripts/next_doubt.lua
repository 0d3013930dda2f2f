-- Ends a look-up: says when the connection's next row in doubt is due, not before so many milliseconds. KEYS: doubts, due-doubts
-- ARGV: connection, least_ms
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not first[1] then
  redis.call('ZREM', KEYS[2], ARGV[1])
  return false
end
local at = math.max(tonumber(first[2]), now_ms() + tonumber(ARGV[2]))
redis.call('ZADD', KEYS[2], at, ARGV[1])
return string.format('%.0f', at)
