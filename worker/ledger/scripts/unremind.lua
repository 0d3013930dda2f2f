-- Takes notes of reminders back that a job has made and that were refused: nobody was mailed.
-- KEYS: the tenant's reminders (remind.lua)    ARGV: job, then 12 bytes of hash of each guest
local arguments = ARGV
local job = ARGV[1]
for k = 2, #arguments do
  local note = redis.call('HGET', KEYS[1], arguments[k])
  local count, whose, before = string.match(note or '', '^(%d+):%d+:([^:]*):(%d+)$')
  if whose == job then
    if tonumber(count) > 1 then
      redis.call('HSET', KEYS[1], arguments[k], string.format('%.0f:%s::0', count - 1, before))
    else
      redis.call('HDEL', KEYS[1], arguments[k])
    end
  end
end
return 0
