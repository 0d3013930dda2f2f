-- Takes notes of reminders back that a job has made and that were refused: nobody was mailed.
-- KEYS: the tenant's reminders (remind.lua)    ARGV: job, then of each row the guest and the row
local arguments = ARGV
local job = ARGV[1]
for k = 2, #arguments, 2 do
  local note = redis.call('HGET', KEYS[1], arguments[k])
  local count, whose, before, made_by = string.match(note or '', '^(%d+):%d+:([^:]*):(%d+):(%x*)$')
  if whose == job and made_by == arguments[k + 1] then
    if tonumber(count) > 1 then
      redis.call('HSET', KEYS[1], arguments[k], string.format('%.0f:%s::0:', count - 1, before))
    else
      redis.call('HDEL', KEYS[1], arguments[k])
    end
  end
end
return 0
