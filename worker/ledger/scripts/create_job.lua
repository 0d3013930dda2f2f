-- Makes a job that is still loading, once: the same id again is the same job.
-- KEYS: jobs, job, schema, loading, epoch    ARGV: job, schema version, who makes it, field, value,
--   field, value, ...
-- Returns 1 (made, be it by an earlier try of this very call whose answer was lost), 0 (it is there
--   already), -1 (the ledger is of a newer version)
local job, version, maker = ARGV[1], ARGV[2], ARGV[3]
local schema = redis.call('GET', KEYS[3])
if not schema then redis.call('SET', KEYS[3], version) end
if schema and tonumber(schema) > tonumber(version) then return -1 end
if redis.call('EXISTS', KEYS[2]) == 1 then return redis.call('HGET', KEYS[2], 'maker') == maker and 1 or 0 end
local now = string.format('%.0f', now_ms())
redis.call('HSET', KEYS[2], 'state', 'loading', 'created_at', now, 'next', 0, 'open', 0, 'rows', 0, 'chunks', 0,
  'maker', maker)
local servers = redis.call('HGET', KEYS[5], 'servers')
-- made under this server: nothing of it was sent under an earlier one
if servers then redis.call('HSET', KEYS[2], 'servers', servers) end
for a = 4, #ARGV, 2 do
  local field, value = ARGV[a], ARGV[a + 1]
  redis.call('HSET', KEYS[2], field, value)
end
redis.call('ZADD', KEYS[1], now, job)
redis.call('ZADD', KEYS[4], now, job)
return 1
