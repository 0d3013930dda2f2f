-- Opens a connection's gate and makes it due. KEYS: connection, due, due-now, rotation,
-- rotation-now
-- ARGV: connection, what may be opened: '' anything (a person says so), 'tried' (a real row went
--   through) all but what only a person lifts, else holds of that kind    Returns 1 if it was held.
local connection, what = ARGV[1], ARGV[2]
local person = { operator = true, abuse = true, restored = true }
local f = redis.call('HMGET', KEYS[1], 'gate', 'kind')
local held = f[1] == 'held'
if held and what == 'tried' and person[f[2]] then return 0 end
if held and what ~= '' and what ~= 'tried' and f[2] ~= what then return 0 end
open_gate(KEYS[1])
redis.call('HDEL', KEYS[1], 'closed_until', 'closed_why')
if held then redis.call('HDEL', KEYS[1], 'clean', 'flight', 'flight_ticket') end -- probation begins anew
local now = now_ms()
if redis.call('EXISTS', KEYS[4]) == 1 then redis.call('ZADD', KEYS[2], now, connection) end
if redis.call('EXISTS', KEYS[5]) == 1 then redis.call('ZADD', KEYS[3], now, connection) end
return held and 1 or 0
