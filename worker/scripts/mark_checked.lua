-- Notes that a leased chunk's rows were looked up in the directory. KEYS: chunk    A chunk deleted meanwhile is not made again.
if redis.call('HEXISTS', KEYS[1], 'st') == 0 then return 0 end
redis.call('HSET', KEYS[1], 'pc', string.format('%.0f', now_ms()))
return 1
