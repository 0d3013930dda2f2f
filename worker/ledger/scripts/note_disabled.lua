-- Notes that a job has disabled guests now; an earlier time does not count any more: whoever is
-- disabled once more was enabled meanwhile.
-- KEYS: the tenant's disabled guests (hash: object id → "when:job")    ARGV: job, then object ids
local arguments = ARGV
local note = string.format('%.0f:%s', now_ms(), arguments[1])
for k = 2, #arguments do redis.call('HSET', KEYS[1], arguments[k], note) end
return 0
