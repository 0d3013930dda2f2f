-- Replaces blobs of a chunk that nobody works on any more, all of them or none: only if each is
-- still what was read.
-- KEYS: chunk    ARGV: number of blobs read, then field, what was read, what it becomes ('':
--   nothing), ...
-- Returns 1, or 0 when it was changed, folded or deleted meanwhile.
local blobs_read = ARGV[1]
if (redis.call('HGET', KEYS[1], 'no') or '0') ~= blobs_read then return 0 end
for a = 2, #ARGV, 3 do
  local field, read = ARGV[a], ARGV[a + 1]
  if redis.call('HGET', KEYS[1], field) ~= read then return 0 end
end
for a = 2, #ARGV, 3 do
  local field, becomes = ARGV[a], ARGV[a + 2]
  if becomes == '' then
    redis.call('HDEL', KEYS[1], field)
  else
    redis.call('HSET', KEYS[1], field, becomes)
  end
end
return 1
