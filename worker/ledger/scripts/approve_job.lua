-- Lets a job run that waits for approval, once.
-- KEYS: job    ARGV: prefix, job, who approves, info (JSON, naming who), 'running' | 'paused', why
--   (of a paused one)
-- Returns 1 (approved by this), 0 (it does not wait for approval), or false when there is no such
--   job.
local prefix, job, approver, info, next_state, why = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local f = redis.call('HMGET', KEYS[1], 'state', 'approval', 'connection', 'lane')
if not f[1] then return false end
if f[1] ~= 'held' or f[2] ~= 'wanted' then return 0 end
redis.call('HSET', KEYS[1], 'state', next_state, 'approval', approver, 'info', info, 'started_at', string.format('%.0f', now_ms()))
if why ~= '' then redis.call('HSET', KEYS[1], 'why', why) else redis.call('HDEL', KEYS[1], 'why') end
if settle_job(prefix, job, now_ms()) == 'running' then enlist(prefix, job, f[3], f[4], now_ms()) end
return 1
