-- Takes the jobs that somebody is to be told of and that are to be looked at now; nobody else gets
-- them for a while.
-- KEYS: notices    ARGV: most, lease_ms
-- Returns the present, then the jobs.
local most, lease_ms = ARGV[1], tonumber(ARGV[2])
local now = now_ms()
local found = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', string.format('%.0f', now), 'LIMIT', 0, most)
for _, job in ipairs(found) do redis.call('ZADD', KEYS[1], string.format('%.0f', now + lease_ms), job) end
table.insert(found, 1, string.format('%.0f', now))
return found
