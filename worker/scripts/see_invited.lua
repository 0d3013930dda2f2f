-- Which guests were invited lately, of all those asked for, for somebody who only looks: nothing is changed.
-- KEYS: none    ARGV: the tenant's index, 12 bytes of hash each    Returns {place from 1, "day:job", ...}
-- The hashes' names follow from their content (`_common.lua`), so no key can be declared.
local now, reply = now_ms(), {}
local hashes = hashes_of(ARGV[2])
local entries = index_read(ARGV[1], hashes, now)
for place = 1, #hashes do
  local day, job = invited_lately(entries[place], math.floor(now / 86400000))
  if day then
    reply[#reply + 1] = place
    reply[#reply + 1] = day .. ':' .. job
  end
end
return reply
