-- Removes a guest from a tenant's index, whatever it says of them.
-- KEYS: none    ARGV: the tenant's index, 12 bytes of hash    Returns how many entries there were.
-- The hashes' names follow from their content (`_common.lua`), so no key can be declared.
local generation = math.floor(now_ms() / GENERATION_MS)
local removed = redis.call('HDEL', claims_of(ARGV[1]), ARGV[2])
for g = generation, generation - 1, -1 do
  local prefix = index_prefix(ARGV[1], g)
  if prefix then removed = removed + redis.call('HDEL', index_place(prefix, ARGV[2])) end
end
return removed
