-- Which guests were invited lately, of all those asked for: they stay known for another 30 days.
-- KEYS: none    ARGV: the tenant's index, 12 bytes of hash each    Returns {place from 1, "day:job", ...}
-- The hashes' names follow from their content (`_common.lua`), so no key can be declared.
local now, reply = now_ms(), {}
local today = math.floor(now / 86400000)
local hashes = hashes_of(ARGV[2])
local entries = index_read(ARGV[1], hashes, now)
for place = 1, #hashes do
  local day, job = invited_lately(entries[place], today)
  if day then
    reply[#reply + 1] = place
    reply[#reply + 1] = day .. ':' .. job
    index_write(ARGV[1], { hashes[place] }, now, 'i' .. today .. ':' .. job)
  end
end
return reply
