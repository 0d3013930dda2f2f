-- Puts a value in the place of another, unless somebody else did so first. KEYS: a string    ARGV: the value that was read, the new one
-- Returns 1 if it was replaced.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2])
return 1
