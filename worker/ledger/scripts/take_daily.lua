-- Takes a job's rows from what a producer may submit on one UTC day; of a job that has taken rows and
-- was not accepted yet (its worker died), only what is more now.
-- KEYS: the producer's days (without their date)    ARGV: job, rows, limit
-- Returns -1 when they were taken, else how many rows are left today.
local job, rows, limit = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local day = KEYS[1] .. ':' .. math.floor(now_ms() / 86400000)
local more = rows - tonumber(redis.call('HGET', day, job) or '0')
if more <= 0 then return -1 end
local taken = tonumber(redis.call('HGET', day, 'n') or '0')
if taken + more > limit then return math.max(0, limit - taken) end
redis.call('HSET', day, job, rows, 'n', taken + more)
redis.call('PEXPIRE', day, 172800000)
return -1
