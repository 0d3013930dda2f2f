-- The audit trail. It stands behind `_index.lua`, and counts generations as
-- `_index.lua` does.

-- The audit trail (worker/ledger/audit/trail.py): the name of a part of this generation's, and when
-- that part is to go.
local function audit_key(prefix, part, keep_ms, now)
  local generation = math.floor(now / GENERATION_MS)
  local ends = string.format('%.0f', (generation + 1) * GENERATION_MS + keep_ms)
  return string.format('%s:audit:%.0f:%s', prefix, generation, part), ends
end

local function note(prefix, event, keep_ms, now)
  local key, ends = audit_key(prefix, 'events', keep_ms, now)
  redis.call('XADD', key, '*', 'e', event)
  redis.call('PEXPIREAT', key, ends)
end

-- Keeps what was done to a chunk's rows; the blob is empty where nothing was, or where no trail is
-- kept.
local function keep_trail(prefix, field, blob, keep_ms, now)
  if blob == '' then return end
  local key, ends = audit_key(prefix, 'rows', keep_ms, now)
  redis.call('HSET', key, field, blob)
  redis.call('PEXPIREAT', key, ends)
end
