-- The directory shows that guests are not there: they were invited, and deleted since. What the
-- index says of them goes, unless it is news.
-- KEYS: none    ARGV: the tenant's index, 12 bytes of hash each, when each of them was invited, in
--   seconds, as was read: "n n n" The hashes' names follow from their content (`_index.lua`), so no
--   key can be declared.
local index, packed_hashes, packed_times = ARGV[1], ARGV[2], ARGV[3]
local hashes, prefixes = hashes_of(packed_hashes), index_prefixes(index, now_ms(), EVER_MS)
local times = string.gmatch(packed_times, '%d+')
for k = 1, #hashes do
  local read_at = tonumber(times())
  for _, prefix in ipairs(prefixes) do
    local key, field = index_place(prefix, hashes[k])
    local entry = redis.call('HGET', key, field)
    if entry and read_entry(entry) <= read_at then redis.call('HDEL', key, field) end
  end
end
