-- Which guests were invited lately, of all those asked for. Nothing is changed: who is asked for again is not remembered the longer for it.
-- KEYS: none    ARGV: the tenant's index, 12 bytes of hash each, how long it remembers, in milliseconds
-- The hashes' names follow from their content (`_common.lua`), so no key can be declared.
-- Returns {place from 1, "seconds:job", ...}
local reply, hashes = {}, hashes_of(ARGV[2])
local found = index_read(ARGV[1], hashes, now_ms(), tonumber(ARGV[3]))
for place = 1, #hashes do
  if found[place] then
    reply[#reply + 1] = place
    reply[#reply + 1] = found[place]
  end
end
return reply
