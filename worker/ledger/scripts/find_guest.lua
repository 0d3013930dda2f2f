-- What a tenant's index says of a guest. KEYS: none    ARGV: the tenant's index, 12 bytes of hash
-- The hashes' names follow from their content (`_index.lua`), so no key can be declared.
-- Returns {"seconds:job" of their invitation | false, "{job}:{chunk}:{row}:{time}" of the row that
--   is on the wire for them | false}
local index, hash = ARGV[1], ARGV[2]
return { index_read(index, { hash }, now_ms(), EVER_MS)[1] or false, redis.call('HGET', claims_of(index), hash) }
