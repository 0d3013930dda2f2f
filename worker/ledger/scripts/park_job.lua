-- Holds a running job of a connection that requires approval, unless it has been approved: it was
-- submitted where that was not known.
-- KEYS: job    ARGV: prefix, job, why
-- Returns 1 when it may run, 0 when it may not.
local prefix, job, why = ARGV[1], ARGV[2], ARGV[3]
local f = redis.call('HMGET', KEYS[1], 'state', 'approval', 'connection', 'lane')
if f[2] and f[2] ~= 'wanted' then return 1 end
if f[1] == 'running' then
  redis.call('HSET', KEYS[1], 'state', 'held', 'approval', 'wanted', 'why', why)
  delist(prefix, job, f[3], f[4])
end
return 0
