-- Removes a guest from a tenant's index, whatever it says of them.
-- KEYS: none    ARGV: the tenant's index, 12 bytes of hash    Returns how many entries there were.
-- The hashes' names follow from their content (`_common.lua`), so no key can be declared.
local removed = redis.call('HDEL', claims_of(ARGV[1]), ARGV[2])
for _, prefix in ipairs(index_prefixes(ARGV[1], now_ms(), EVER_MS)) do
  removed = removed + redis.call('HDEL', index_place(prefix, ARGV[2]))
end
return removed
