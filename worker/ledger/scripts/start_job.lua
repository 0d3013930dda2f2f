-- Lets a loaded job run: from here on its rows are accepted.
-- KEYS: job, connections, loading    ARGV: prefix, job, connection, lane, rows, chunks, pilot rows
--   (0: none), pilot chunks, then letter, count, ... One that wants approval is held instead, its
--   why being there since it was made.
-- Returns the state it is in then (one that was not loading stays as it is), or false if there is
--   none.
local prefix, job, connection, lane, rows, chunks, pilot_rows, pilot_chunks =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8]
local before = redis.call('HGET', KEYS[1], 'state')
if before ~= 'loading' then return before end
local now = now_ms()
redis.call('ZREM', KEYS[3], job)
local wants_approval = redis.call('HGET', KEYS[1], 'approval') == 'wanted'
redis.call('HSET', KEYS[1], 'state', wants_approval and 'held' or 'running', 'rows', rows, 'chunks', chunks,
  'started_at', string.format('%.0f', now))
if tonumber(pilot_rows) > 0 then redis.call('HSET', KEYS[1], 'pilot', pilot_rows, 'limit', pilot_chunks) end
local ever = prefix .. ':connection:' .. connection
redis.call('HINCRBY', ever, 'accepted', rows)
for a = 9, #ARGV, 2 do
  redis.call('HSET', KEYS[1], 'n:' .. ARGV[a], ARGV[a + 1])
  redis.call('HINCRBY', ever, 'ended:' .. ARGV[a], ARGV[a + 1])
end
redis.call('SADD', KEYS[2], connection)
local state = settle_job(prefix, job, now)
if state == 'running' then enlist(prefix, job, connection, lane, now) end
return state
