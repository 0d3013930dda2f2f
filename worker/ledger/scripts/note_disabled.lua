-- Notes that guests are disabled since now; whoever stands there keeps the earlier time.
-- KEYS: the tenant's disabled guests (hash: object id → when)    ARGV: object ids
local guests = ARGV
local now = string.format('%.0f', now_ms())
for k = 1, #guests do redis.call('HSETNX', KEYS[1], guests[k], now) end
return 0
