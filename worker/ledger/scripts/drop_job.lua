-- Marks a job that does not run yet as one that is being removed: from here on nobody can start it.
-- KEYS: job    ARGV: why, which tells that it is being removed
-- Returns 1 where it is so, 0 where the job runs or ran, or is not there. To be called again where
--   the answer was lost.
local going = ARGV[1]
local state, why = unpack(redis.call('HMGET', KEYS[1], 'state', 'why'))
if state == 'cancelled' and why == going then return 1 end
if state ~= 'loading' then return 0 end
local marked = redis.pcall('HSET', KEYS[1], 'state', 'cancelled', 'why', going)
-- a full server still deletes, and nobody starts a job that is not there
if type(marked) == 'table' and marked.err then redis.call('DEL', KEYS[1]) end
return 1
