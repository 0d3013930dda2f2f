-- Forgets which rows of a producer's day a job has taken, now that the job is accepted: made again
-- under its id, once it has been deleted or has expired, it takes them again.
-- KEYS: the producer's days (without their date)    ARGV: job
local job = ARGV[1]
redis.call('HDEL', KEYS[1] .. ':' .. math.floor(now_ms() / 86400000), job)
