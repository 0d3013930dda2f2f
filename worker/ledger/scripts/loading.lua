-- The maker of a job that is loading is still there. KEYS: loading    ARGV: job    One that was
-- removed meanwhile is not brought back.
local job = ARGV[1]
redis.call('ZADD', KEYS[1], 'XX', now_ms(), job)
return 1
