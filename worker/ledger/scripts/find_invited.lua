-- Which guests were invited lately, of all those asked for. Nothing is changed: who is asked for
-- again is not remembered the longer for it.
-- KEYS: none    ARGV: the tenant's index, 12 bytes of hash each, how long it remembers, in
--   milliseconds The hashes' names follow from their content (`_index.lua`), so no key can be
--   declared.
-- Returns {place from 1, "seconds:job", ...}
local index, packed_hashes, remember_ms = ARGV[1], ARGV[2], tonumber(ARGV[3])
local reply, hashes = {}, hashes_of(packed_hashes)
local found = index_read(index, hashes, now_ms(), remember_ms)
for place = 1, #hashes do
  if found[place] then
    reply[#reply + 1] = place
    reply[#reply + 1] = found[place]
  end
end
return reply
