-- Replaces a finished chunk's rows and blobs by one blob each, if nothing was added since they were read and nobody did so before:
-- a person may have been forgotten in it since (`forget_rows`).
-- KEYS: chunk    ARGV: number of blobs read, blob of rows and outcomes, blob of links ('' if none)
local c = redis.call('HMGET', KEYS[1], 'st', 'no')
if redis.call('HEXISTS', KEYS[1], 'rows') == 0 then return 0 end
if not c[1] or string.find(c[1], '[.qsd]') or (c[2] or '0') ~= ARGV[1] then return 0 end
local fields = {}
for _, field in ipairs(redis.call('HKEYS', KEYS[1])) do
  if string.match(field, '^[olbdf]%d+$') or field == 'rows' or field == 'at' or field == 'nb' or field == 'pc' then fields[#fields + 1] = field end
end
redis.call('HDEL', KEYS[1], unpack(fields))
redis.call('HSET', KEYS[1], 'out', ARGV[2])
if ARGV[3] ~= '' then redis.call('HSET', KEYS[1], 'lnk', ARGV[3]) end
return 1
