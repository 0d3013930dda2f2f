-- Lets a job run that waits for approval, once.
-- KEYS: job    ARGV: prefix, job, who approves, info (JSON, naming who), 'running' | 'paused', why (of a paused one)
-- Returns 1 (approved by this), 0 (it does not wait for approval), or false when there is no such job.
local f = redis.call('HMGET', KEYS[1], 'state', 'approval', 'connection', 'lane')
if not f[1] then return false end
if f[1] ~= 'held' or f[2] ~= 'wanted' then return 0 end
redis.call('HSET', KEYS[1], 'state', ARGV[5], 'approval', ARGV[3], 'info', ARGV[4], 'started_at', string.format('%.0f', now_ms()))
if ARGV[6] ~= '' then redis.call('HSET', KEYS[1], 'why', ARGV[6]) else redis.call('HDEL', KEYS[1], 'why') end
if settle_job(ARGV[1], ARGV[2], now_ms()) == 'running' then enlist(ARGV[1], ARGV[2], f[3], f[4], now_ms()) end
return 1
