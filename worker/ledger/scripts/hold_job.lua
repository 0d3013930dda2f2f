-- Holds a running job with its stages until a person lets it go on.
-- KEYS: job    ARGV: prefix, job (or a stage of it), why
-- Returns 1 when that is news, 0 when it was not running.
local prefix, job, why = ARGV[1], ARGV[2], ARGV[3]
local held = 0
for _, id in ipairs(whole_job(prefix, redis.call('HGET', KEYS[1], 'root') or job)) do
  local key = prefix .. ':job:' .. id
  local f = redis.call('HMGET', key, 'state', 'connection', 'lane')
  if f[1] == 'running' then
    redis.call('HSET', key, 'state', 'held', 'why', why)
    delist(prefix, id, f[2], f[3])
    held = 1
  end
end
return held
