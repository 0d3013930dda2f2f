-- Holds a connection: nothing of it is sent any more. An operator's hold is not replaced by a
-- lesser one. Nor does a refused credential hold it while another one works: it is an older one, or
-- a newer one that is wrong.
-- KEYS: connection    ARGV: kind, why, fingerprint, probe_ms (0: only a person lifts it)
-- Returns 1 when the gate changed (was open, or held for something else), 0 when it was held for
--   this already, -1 when it stays as it was, -2 when another credential was good a moment ago.
local kind, why, fingerprint, probe = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local f = redis.call('HMGET', KEYS[1], 'gate', 'kind', 'probe_ms', 'since', 'good', 'good_at')
local now = now_ms()
-- a batch was begun with it: about as often as a connection at work begins one, and short enough
-- for the last worker
local GOOD_MS = 60000
local good = f[5] and f[5] ~= '' and now - tonumber(f[6] or 0) < GOOD_MS and f[5]
if kind == 'credential' and fingerprint ~= '' and good and good ~= fingerprint then return -2 end
local rank = { operator = 4, abuse = 3, restored = 2 }
if f[1] == 'held' and (rank[f[2]] or 1) > (rank[kind] or 1) then return -1 end
local same = f[1] == 'held' and f[2] == kind
if same and f[3] and probe > 0 then probe = math.min(900000, math.max(probe, tonumber(f[3]))) end
redis.call('HSET', KEYS[1], 'gate', 'held', 'kind', kind, 'why', why, 'fingerprint', fingerprint,
  'since', same and f[4] or string.format('%.0f', now))
if probe > 0 then
  redis.call('HSET', KEYS[1], 'probe_at', string.format('%.0f', now + probe), 'probe_ms', string.format('%.0f', probe))
else
  redis.call('HDEL', KEYS[1], 'probe_at', 'probe_ms')
end
redis.call('HDEL', KEYS[1], 'clean_since', 'clean_at', 'clean', 'flight', 'flight_ticket')
return same and 0 or 1
