-- Notes that a leased chunk's rows were looked up in the directory. KEYS: chunk, epoch    A chunk
-- deleted meanwhile is not made again. While others are still to come in (epoch.lua) it says
-- nothing: the directory may not show yet what they sent.
if redis.call('HEXISTS', KEYS[1], 'st') == 0 or redis.call('HEXISTS', KEYS[2], 'quiet_until') == 1 then return 0 end
redis.call('HSET', KEYS[1], 'pc', string.format('%.0f', now_ms()), 'pe', redis.call('HGET', KEYS[2], 'servers') or '0')
return 1
