-- Lets a job run that waits for approval, with its stages, once. One that was paused meanwhile is
-- paused then: approval and pause are two people's, and each lifts their own.
-- KEYS: job    ARGV: prefix, job, who approves, info (JSON, naming who), 'running' | 'paused', why
--   (of a paused one)
-- Returns 1 (approved by this), 0 (it does not wait for approval), or false when there is no such
--   job.
local prefix, job, approver, info, next_state, why = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6]
local f = redis.call('HMGET', KEYS[1], 'state', 'approval', 'stages')
if not f[1] then return false end
if f[1] ~= 'held' or f[2] ~= 'wanted' then return 0 end

local function approve(id)
  local key = prefix .. ':job:' .. id
  local j = redis.call('HMGET', key, 'state', 'approval', 'connection', 'lane', 'pause')
  if not j[1] then return end
  local is_parked = j[1] == 'held' and j[2] == 'wanted'
  redis.call('HSET', key, 'approval', approver)
  if not is_parked then return end
  local next_state, why = j[5] and 'paused' or next_state, j[5] or why
  redis.call('HSET', key, 'state', next_state, 'started_at', string.format('%.0f', now_ms()))
  redis.call('HDEL', key, 'pause')
  if why ~= '' then redis.call('HSET', key, 'why', why) else redis.call('HDEL', key, 'why') end
  if settle_job(prefix, id, now_ms()) == 'running' then enlist(prefix, id, j[3], j[4], now_ms()) end
end

redis.call('HSET', KEYS[1], 'info', info)
for _, id in ipairs(stage_ids(job, f[3])) do approve(id) end
approve(job)
return 1
