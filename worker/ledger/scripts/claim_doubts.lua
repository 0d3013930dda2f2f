-- The rows of a connection that are due to be looked up, oldest first. KEYS: doubts, epoch    ARGV:
-- prefix, most
-- Returns {job, chunk, row, attempted at, first attempted at, ...}. Rows of deleted jobs are
--   dropped from the list. A time ahead of us was written before the clock was put back: the wait
--   begins anew. Which moment that was may still be known (worker/clocks.py).
-- Returns false while somebody may still come back with the answer itself (epoch.lua).
local prefix, most = ARGV[1], tonumber(ARGV[2])
local now, reply = now_ms(), {}
local epoch = redis.call('HMGET', KEYS[2], 'id', 'beat', 'settle_from')
if epoch[1] and (epoch[1] ~= server_id() or now - tonumber(epoch[2]) > SILENT_MS or epoch[3]) then return false end
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, most)) do
  local job, chunk, row = string.match(member, '^([^:]*):([^:]*):([^:]*)$')
  local key = prefix .. ':chunk:' .. job .. ':' .. chunk
  local at = redis.call('HGET', key, 'd' .. row)
  if at and tonumber(at) > now then
    redis.call('HSETNX', key, 'f' .. row, at)
    at = string.format('%.0f', now)
    redis.call('HSET', key, 'd' .. row, at)
  end
  if at and redis.call('EXISTS', prefix .. ':job:' .. job) == 1 then
    for _, v in ipairs({ job, chunk, row, at, redis.call('HGET', key, 'f' .. row) or at }) do reply[#reply + 1] = v end
  else
    redis.call('ZREM', KEYS[1], member)
  end
end
return reply
