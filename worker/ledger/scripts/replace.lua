-- Puts a value in the place of another, unless somebody else did so first. KEYS: a string    ARGV:
-- the value that was read, the new one
-- Returns 1 if it was replaced.
local before, after = ARGV[1], ARGV[2]
if redis.call('GET', KEYS[1]) ~= before then return 0 end
redis.call('SET', KEYS[1], after)
return 1
