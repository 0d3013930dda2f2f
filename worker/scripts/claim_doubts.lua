-- The rows of a connection that are due to be looked up, oldest first. KEYS: doubts    ARGV: prefix, most
-- Returns {job, chunk, row, attempted at, ...}. Rows of deleted jobs are dropped from the list.
local now, reply = now_ms(), {}
for _, member in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'LIMIT', 0, tonumber(ARGV[2]))) do
  local job, chunk, row = string.match(member, '^([^:]*):([^:]*):([^:]*)$')
  local at = redis.call('HGET', ARGV[1] .. ':chunk:' .. job .. ':' .. chunk, 'd' .. row)
  if at then
    for _, v in ipairs({ job, chunk, row, at }) do reply[#reply + 1] = v end
  else
    redis.call('ZREM', KEYS[1], member)
  end
end
return reply
