-- Notes, before guests are reminded, that they are; whoever was reminded lately, or often enough, is
-- not.
-- KEYS: the tenant's reminders (hash: guest → "count:at:job:at before")    ARGV: job, milliseconds
--   between two, how many at most, how long they are remembered, then of each guest: 12 bytes of
--   hash, and since when they are a guest (what is older was another guest's of that address)
-- Returns of each guest '' where the reminder may go, also by a note that this very job has made, or
--   the note in its way
local arguments = ARGV
local job, every_ms, times, kept_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now, found = now_ms(), {}
for k = 5, #arguments, 2 do
  local guest, since = arguments[k], tonumber(arguments[k + 1])
  local note = redis.call('HGET', KEYS[1], guest)
  local count, at, whose = string.match(note or '', '^(%d+):(%d+):([^:]*)')
  if not count or (tonumber(at) < since and whose ~= job) then count, at, whose = 0, 0, '' end
  if whose == job then
    found[#found + 1] = ''
  elseif tonumber(count) >= times or now - tonumber(at) < every_ms then
    found[#found + 1] = note
  else
    found[#found + 1] = ''
    redis.call('HSET', KEYS[1], guest, string.format('%.0f:%.0f:%s:%.0f', count + 1, now, job, at))
    redis.call('PEXPIRE', KEYS[1], kept_ms)
  end
end
return found
