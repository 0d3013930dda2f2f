-- Offers one given chunk to the caller itself, past the dispatcher: a producer that waits for its
-- one guest needs no message.
-- KEYS: offers, seats-of, offered-of, fence, job, chunk
-- ARGV: prefix, job, chunk, connection, lane, offer_ms
-- Returns the ticket, or false when the chunk is not waiting (offered, leased, or nothing left to
--   send)
local _, job, chunk, connection, lane, offer_ms = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], tonumber(ARGV[6])
local f = redis.call('HMGET', KEYS[5], 'state', 'next')
if f[1] ~= 'running' then return false end
if redis.call('HEXISTS', KEYS[6], 'ph') == 1 or redis.call('EXISTS', KEYS[6]) == 0 then return false end
if tonumber(chunk) >= tonumber(f[2]) then
  redis.call('HSET', KEYS[5], 'next', tonumber(chunk) + 1) -- only ever asked for a job of one chunk
else
  redis.call('ZREM', KEYS[5] .. ':back', chunk)
end
local ticket = string.format('%s:%s:%.0f:%s:%s', job, chunk, redis.call('INCR', KEYS[4]), connection, lane)
redis.call('HSET', KEYS[6], 'ph', 'o')
redis.call('ZADD', KEYS[1], now_ms() + offer_ms, ticket)
redis.call('HINCRBY', KEYS[2], connection, 1)
redis.call('HINCRBY', KEYS[3], connection, 1)
return ticket
