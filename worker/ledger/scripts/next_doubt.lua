-- Ends a look-up: says when the connection's next row in doubt is due, not before so many
-- milliseconds. KEYS: doubts, due-doubts
-- ARGV: connection, least_ms
local connection, least_ms = ARGV[1], tonumber(ARGV[2])
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if not first[1] then
  redis.call('ZREM', KEYS[2], connection)
  return false
end
local at = math.max(tonumber(first[2]), now_ms() + least_ms)
redis.call('ZADD', KEYS[2], at, connection)
return string.format('%.0f', at)
