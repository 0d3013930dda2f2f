-- Writes fields of a hash that belongs to a job, only while there is that job: it may be deleted while
-- somebody is asked for what is to be written.
-- KEYS: job, hash (the job itself, or another)    ARGV: ms that another hash is kept for at most, field,
--   value, ...
-- Returns 1, or 0 when there is no such job.
local job, hash, keep_ms = KEYS[1], KEYS[2], ARGV[1]
if redis.call('EXISTS', job) == 0 then return 0 end
for a = 2, #ARGV, 2 do
  local field, value = ARGV[a], ARGV[a + 1]
  redis.call('HSET', hash, field, value)
end
if hash ~= job then
  local left = redis.call('PTTL', job) -- of a job that has ended
  redis.call('PEXPIRE', hash, left > 0 and left or keep_ms)
end
return 1
