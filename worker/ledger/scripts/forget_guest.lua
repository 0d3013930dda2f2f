-- Removes a guest from a tenant's index and from its reminders, whatever they say of them.
-- KEYS: none    ARGV: the tenant's index, 12 bytes of hash    Returns how many entries there were.
-- The hashes' names follow from their content (`_index.lua`), so no key can be declared.
local index, hash = ARGV[1], ARGV[2]
local removed = redis.call('HDEL', claims_of(index), hash) + redis.call('HDEL', index .. ':reminded', hash)
for _, prefix in ipairs(index_prefixes(index, now_ms(), EVER_MS)) do
  removed = removed + redis.call('HDEL', index_place(prefix, hash))
end
return removed
