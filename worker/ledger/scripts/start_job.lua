-- Lets a loaded job run: from here on its rows are accepted.
-- KEYS: job, connections, loading    ARGV: prefix, job, connection, lane, rows, chunks, pilot rows (0: none), pilot chunks, then letter, count, ...
-- One that wants approval is held instead, its why being there since it was made.
-- Returns the state it is in then (one that was not loading stays as it is), or false if there is none.
local before = redis.call('HGET', KEYS[1], 'state')
if before ~= 'loading' then return before end
local now = now_ms()
redis.call('ZREM', KEYS[3], ARGV[2])
local wants_approval = redis.call('HGET', KEYS[1], 'approval') == 'wanted'
redis.call('HSET', KEYS[1], 'state', wants_approval and 'held' or 'running', 'rows', ARGV[5], 'chunks', ARGV[6],
  'started_at', string.format('%.0f', now))
if tonumber(ARGV[7]) > 0 then redis.call('HSET', KEYS[1], 'pilot', ARGV[7], 'limit', ARGV[8]) end
local ever = ARGV[1] .. ':connection:' .. ARGV[3]
redis.call('HINCRBY', ever, 'accepted', ARGV[5])
for a = 9, #ARGV, 2 do
  redis.call('HSET', KEYS[1], 'n:' .. ARGV[a], ARGV[a + 1])
  redis.call('HINCRBY', ever, 'ended:' .. ARGV[a], ARGV[a + 1])
end
redis.call('SADD', KEYS[2], ARGV[3])
local state = settle_job(ARGV[1], ARGV[2], now)
if state == 'running' then enlist(ARGV[1], ARGV[2], ARGV[3], ARGV[4], now) end
return state
