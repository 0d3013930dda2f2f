-- Holds a running job of a connection that requires approval, unless it has been approved: it was
-- submitted where that was not known. A stage is approved with its root, and waits with it.
-- KEYS: job    ARGV: prefix, job, why
-- Returns 1 when it may run, 0 when it may not.
local prefix, job, why = ARGV[1], ARGV[2], ARGV[3]
local root = redis.call('HGET', KEYS[1], 'root')
local approval = redis.call('HGET', root and prefix .. ':job:' .. root or KEYS[1], 'approval')
if approval and approval ~= 'wanted' then return 1 end
for _, id in ipairs({ job, root or nil }) do
  local key = prefix .. ':job:' .. id
  local f = redis.call('HMGET', key, 'state', 'connection', 'lane')
  if f[1] == 'running' then
    redis.call('HSET', key, 'state', 'held', 'approval', 'wanted', 'why', why)
    delist(prefix, id, f[2], f[3])
  end
end
return 0
