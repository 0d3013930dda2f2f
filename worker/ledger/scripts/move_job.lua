-- Pauses, resumes or cancels a job with its stages. It acts at the next begin_batch; rows on the wire
-- end as what they are.
-- KEYS: job    ARGV: prefix, job, 'paused' | 'running' | 'cancelled', why. What waits for approval
--   does not run by this (approve_job): it is held, and keeps in `pause` that it is to be paused then.
-- Returns the state it is in now and 1 where what was wanted is so (paused beside an approval that it
-- waits for is paused), or false when there is no such job.
local prefix, job, wanted, why = ARGV[1], ARGV[2], ARGV[3], ARGV[4]
local now = now_ms()
if redis.call('EXISTS', KEYS[1]) == 0 then return false end

local function move(id)
  local key = prefix .. ':job:' .. id
  local f = redis.call('HMGET', key, 'state', 'connection', 'lane', 'why', 'approval', 'finished_at',
    'root')
  local state = f[1]
  if not state or f[6] then return end
  if wanted == 'paused' and state == 'running' then
    redis.call('HSET', key, 'state', 'paused', 'why', why)
  elseif wanted == 'paused' and state == 'paused' and f[4] ~= 'pilot' then
    redis.call('HSET', key, 'why', why) -- by somebody else, who may have to be asked now
  elseif wanted == 'paused' and state == 'held' and f[5] == 'wanted' then
    redis.call('HSET', key, 'pause', why)
  elseif wanted == 'running' and state == 'held' and f[5] == 'wanted' then
    redis.call('HDEL', key, 'pause')
  elseif wanted == 'running' and (state == 'paused' or state == 'held') and f[5] ~= 'wanted' then
    redis.call('HSET', key, 'state', 'running')
    redis.call('HDEL', key, 'why', 'run')
    -- somebody has looked: its first 100 answers are not judged again
    if state == 'held' then redis.call('HSET', key, 'heard', 100) end
    -- Past its pilot; one that was paused in the middle of it goes on with it
    if f[4] == 'pilot' then redis.call('HDEL', key, 'pilot', 'limit') end
    if settle_job(prefix, id, now) == 'running' then enlist(prefix, id, f[2], f[3], now) end
  elseif wanted == 'cancelled' and (state == 'running' or state == 'paused' or state == 'held'
    or state == 'loading') then
    redis.call('HSET', key, 'state', 'cancelled', 'why', why)
    delist(prefix, id, f[2], f[3])
    if f[7] then hasten(prefix, id, now) end
    settle_job(prefix, id, now, state == 'loading') -- whose rows were never accepted, so they do not count as cancelled
  end
end

for _, id in ipairs(whole_job(prefix, job)) do move(id) end
local f = redis.call('HMGET', KEYS[1], 'state', 'pause')
return { f[1], (f[1] == wanted or (f[2] and wanted == 'paused')) and 1 or 0 }
