-- Pauses, resumes or cancels a job. It acts at the next begin_batch; rows on the wire end as what
-- they are.
-- KEYS: job    ARGV: prefix, job, 'paused' | 'running' | 'cancelled', why What waits for approval
--   does not run by this (approve_job).
-- Returns the state it is in now, or false when there is no such job.
local prefix, job, wanted, why = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local f = redis.call('HMGET', KEYS[1], 'state', 'connection', 'lane', 'why', 'approval')
local state, now = f[1], now_ms()
if not state then return false end
if wanted == 'paused' and state == 'running' then
  redis.call('HSET', KEYS[1], 'state', 'paused', 'why', why)
elseif wanted == 'running' and (state == 'paused' or state == 'held') and f[5] ~= 'wanted' then
  redis.call('HSET', KEYS[1], 'state', 'running')
  redis.call('HDEL', KEYS[1], 'why', 'run')
  -- somebody has looked: its first 100 answers are not judged again
  if state == 'held' then redis.call('HSET', KEYS[1], 'heard', 100) end
  -- Past its pilot; one that was paused in the middle of it goes on with it
  if f[4] == 'pilot' then redis.call('HDEL', KEYS[1], 'pilot', 'limit') end
  if settle_job(prefix, job, now) == 'running' then enlist(prefix, job, f[2], f[3], now) end
elseif wanted == 'cancelled' and (state == 'running' or state == 'paused' or state == 'held' or state == 'loading') then
  redis.call('HSET', KEYS[1], 'state', 'cancelled', 'why', why)
  delist(prefix, job, f[2], f[3])
  settle_job(prefix, job, now, state == 'loading') -- whose rows were never accepted, so they do not count as cancelled
end
return redis.call('HGET', KEYS[1], 'state')
