-- Ends a look-up: says when the connection's next row in doubt is due. KEYS: doubts, due-doubts    ARGV: connection
local first = redis.call('ZRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if first[1] then redis.call('ZADD', KEYS[2], first[2], ARGV[1]) else redis.call('ZREM', KEYS[2], ARGV[1]) end
return first[2] or false
