-- Turns an offer into a lease, once. An offer that is void or already claimed answers nothing: its
-- message is a no-op. One of a newer ledger is left to newer workers. While everything is held it
-- is given back: not even a look-up before the first send is made then, for in a restored ledger it
-- would take whoever was invited since the backup for a guest of before (`usher jobs verify` can
-- tell them apart). So is one with nothing left to send, whose rows may be folded: a late answer,
-- or the directory, has ended the last of them.
-- KEYS: offers, leases, offered-of, job, chunk, schema, hold
-- ARGV: prefix, ticket, lease_ms, settle_ms, schema version
-- Returns false, or {now, st, at, rows, base, job's options, last batch begun, chunks, looked up at
--   (0: not yet), 1 if rows of its job may have left without our knowledge, its job's stages, 1 if something is
--   known of items of this stage that a failover lost (`_jobs.lua`), the key of the tenant for which its job was
--   accepted ('': not known)}
local prefix, ticket, lease_ms, settle_ms, version =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5])
local now = now_ms()
local t = parse_ticket(ticket)
if tonumber(redis.call('GET', KEYS[6]) or 0) > version then return false end
if redis.call('ZREM', KEYS[1], ticket) == 0 then return false end
redis.call('HINCRBY', KEYS[3], t.connection, -1)
if t.lane == 'd' then
  redis.call('ZADD', KEYS[2], now + lease_ms, ticket)
  return { now }
end
local state = redis.call('HGET', KEYS[4], 'state')
local letters = redis.call('HGET', KEYS[5], 'st')
if state ~= 'running' or not letters or not string.find(letters, '[.q]') or is_quiet(prefix)
  or redis.call('EXISTS', KEYS[7]) == 1 then
  give_back(prefix, ticket, settle_ms, now)
  return false
end
redis.call('ZADD', KEYS[2], now + lease_ms, ticket)
redis.call('HSET', KEYS[5], 'ph', 'l')
local c = redis.call('HMGET', KEYS[5], 'at', 'rows', 'base', 'nb', 'pc', 'pe')
local j = redis.call('HMGET', KEYS[4], 'options', 'chunks', 'servers', 'stages', 'known', 'tenant')
-- what was looked up, or made, before the last one was met says nothing
local servers = redis.call('HGET', prefix .. ':epoch', 'servers') or '0'
local looked_at = (c[6] or '0') == servers and c[5] or 0
return { now, letters, c[1] or '', c[2] or '', c[3], j[1] or '{}', c[4] or 0, j[2], looked_at,
  (j[3] or '0') == servers and 0 or 1, j[4] or '', j[5] and 1 or 0, j[6] or '' }
