-- Lets a loaded job run: from here on its rows are accepted.
-- KEYS: job, connections, loading    ARGV: prefix, job, connection, lane, rows, chunks, pilot rows
--   (0: none), pilot chunks, its tenant's key ('': not known), its stages (JSON, each with name,
--   channel, items a chunk, 1 if a chunk is of one target, patience_ms, guests that ask for it,
--   those of them that have ended unsent), then letter, count, ... One that wants approval is held
--   instead, its why being there since it was made.
-- Returns the state it is in then (one that was not loading stays as it is), or false if there is
--   none.
local prefix, job, connection, lane, rows, chunks, pilot_rows, pilot_chunks, tenant, stages =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local before = redis.call('HGET', KEYS[1], 'state')
if before ~= 'loading' then return before end
local now = now_ms()
redis.call('ZREM', KEYS[3], job)
local wants_approval = redis.call('HGET', KEYS[1], 'approval') == 'wanted'
redis.call('HSET', KEYS[1], 'state', wants_approval and 'held' or 'running', 'rows', rows, 'chunks', chunks,
  'started_at', string.format('%.0f', now))
if tonumber(pilot_rows) > 0 then redis.call('HSET', KEYS[1], 'pilot', pilot_rows, 'limit', pilot_chunks) end
local ever = prefix .. ':connection:' .. connection
local is_nobodys = is_nobodys_channel(connection)
if not is_nobodys then redis.call('HINCRBY', ever, 'accepted', rows) end
if tenant ~= '' then
  redis.call('HSET', ever, 'tenant', tenant)
  redis.call('HSET', KEYS[1], 'tenant', tenant)
end
for a = 11, #ARGV, 2 do
  local letter, count = ARGV[a], ARGV[a + 1]
  redis.call('HSET', KEYS[1], 'n:' .. letter, count)
  if not is_nobodys then redis.call('HINCRBY', ever, 'ended:' .. letter, count) end
end
if not is_nobodys then redis.call('SADD', KEYS[2], connection) end
local names = {}
for _, stage in ipairs(stages ~= '' and cjson.decode(stages) or {}) do
  local name, channel, slice, apart, patience, asked, skipped = unpack(stage)
  local id = job .. '~' .. name
  local like = redis.call('HMGET', KEYS[1], 'created_at', 'options', 'info', 'servers')
  redis.call('HSET', prefix .. ':job:' .. id, 'root', job, 'connection', channel, 'lane', lane, 'state', 'running',
    'created_at', like[1], 'started_at', string.format('%.0f', now), 'options', like[2], 'info', like[3],
    'next', 0, 'open', 0, 'rows', 0, 'chunks', 0,
    'gathered', 0, 'slice', slice, 'apart', apart, 'patience', patience, 'asked', asked, 'g:k', skipped)
  if like[4] then redis.call('HSET', prefix .. ':job:' .. id, 'servers', like[4]) end
  if tenant ~= '' then redis.call('HSET', prefix .. ':job:' .. id, 'tenant', tenant) end
  redis.call('ZADD', prefix .. ':jobs', like[1], id)
  redis.call('SADD', KEYS[2], channel)
  names[#names + 1] = name
end
if #names > 0 then
  redis.call('HSET', KEYS[1], 'stages', table.concat(names, ' '))
else
  redis.call('HDEL', KEYS[1], 'stages')
end
local state = settle_job(prefix, job, now)
if state == 'running' then enlist(prefix, job, connection, lane, now) end
return state
