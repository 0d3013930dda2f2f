-- Notes, before guests are reminded, that they are; whoever was reminded lately, or often enough, is
-- not.
-- KEYS: the tenant's reminders (hash: guest → "count:at:job:at before:row")    ARGV: job, milliseconds
--   between two, how many at most, how long they are remembered, then of each row: 12 bytes of the
--   guest's hash, what its row is known by, and since when they are a guest (what is older was
--   another guest's)
-- Returns of each guest '' where the reminder may go, also by a note that this very row has made, or
--   the note in its way
local arguments = ARGV
local job, every_ms, times, kept_ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local now, found = now_ms(), {}
for k = 5, #arguments, 3 do
  local guest, row, since = arguments[k], arguments[k + 1], tonumber(arguments[k + 2])
  local note = redis.call('HGET', KEYS[1], guest)
  local count, at, whose, made_by = string.match(note or '', '^(%d+):(%d+):([^:]*):%d+:(%x*)$')
  if not count or (tonumber(at) < since and whose ~= job) then count, at, whose = 0, 0, '' end
  if whose == job and made_by == row then
    found[#found + 1] = ''
  elseif tonumber(count) >= times or now - tonumber(at) < every_ms then
    found[#found + 1] = note
  else
    found[#found + 1] = ''
    redis.call('HSET', KEYS[1], guest, string.format('%.0f:%.0f:%s:%.0f:%s', count + 1, now, job, at, row))
    redis.call('PEXPIRE', KEYS[1], kept_ms)
  end
end
return found
