-- Holds every connection. For want of a key: only where they are not held for anything yet, for
-- that hold ends by itself.
-- KEYS: hold    ARGV: why, kind    Returns 1 if this is news, 0 where another hold stays.
local why, kind = ARGV[1], ARGV[2]
if kind == 'key' and redis.call('EXISTS', KEYS[1]) == 1 then return 0 end
redis.call('HSET', KEYS[1], 'why', why, 'kind', kind, 'since', string.format('%.0f', now_ms()))
return 1
