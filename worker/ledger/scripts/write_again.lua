-- Marks the rows of a batch again that left, if the ledger does not know that they did: it was lost
-- by a failover. A row that is pending is taken for one whose mark was lost, whatever its attempt:
-- the caller leaves out those that were refused before processing, and one that was given up as
-- absent meanwhile only costs one more look-up. (Attempts are kept as a digit, which stops at 9:
-- they tell no two marks apart.)
-- KEYS: job, chunk, leases    ARGV: prefix, ticket, batch, its time, settle_ms, its call's nonce,
--   the tenant's index, of a stage's rows whose items they are (JSON, '': of no stage; `_jobs.lua`),
--   then row, attempt, letter before ('q': without mail), 12 bytes of hash ('':
--   not in the index), ...
-- Of a stage's chunk that is not there, or holds others, the marks are kept for its guests.
-- Returns how many were marked. Where the lease is lost too, nobody may be left to record the
--   answer: they are in doubt at once.
local prefix, ticket, batch_name, marked_at, settle_ms, nonce, index, whose =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], tonumber(ARGV[5]), ARGV[6], ARGV[7], ARGV[8]
local t, now = parse_ticket(ticket), now_ms()
local c = redis.call('HMGET', KEYS[2], 'st', 'at', 'nb')
local letters, attempts = c[1], c[2]
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
if whose ~= '' then
  local told = cjson.decode(whose)
  if not letters or is_another_chunk(KEYS[2], told) then
    local known = {}
    for a = 9, #ARGV, 4 do
      local row = ARGV[a]
      known[row] = marked_at
    end
    keep_known(prefix, t.job, told.guests, known)
    return (#ARGV - 8) / 4
  end
end
if not letters then return 0 end
if not attempts or attempts == '' then attempts = string.rep('0', #letters) end
local ends = redis.call('ZSCORE', KEYS[3], ticket)
local leased = ends and tonumber(ends) > now
local batch, marked = { marked_at }, 0
for a = 9, #ARGV, 4 do
  local row, attempt, before, hash = ARGV[a], tonumber(ARGV[a + 1]), ARGV[a + 2], ARGV[a + 3]
  local i = tonumber(row)
  if is_pending(letter_at(letters, i)) then
    letters = replace_at(letters, i, leased and 's' or 'd')
    attempts = replace_at(attempts, i, math.max(attempt, tonumber(letter_at(attempts, i))))
    marked = marked + 1
    if leased then
      batch[#batch + 1] = row .. (before == 'q' and 'q' or '')
    else
      redis.call('HSET', KEYS[2], 'd' .. row, marked_at)
      look_at(prefix, t.connection, string.format('%s:%s:%d', t.job, t.chunk, i), tonumber(marked_at) + settle_ms)
    end
    local owner = hash ~= '' and redis.call('HGET', claims_of(index), hash)
    if hash ~= '' and not (owner and read_claim(prefix, owner)) then
      redis.call('HSET', claims_of(index), hash, string.format('%s:%s:%d:%s', t.job, t.chunk, i, marked_at))
      redis.call('PEXPIRE', claims_of(index), CLAIMS_MS)
    end
  end
end
if marked == 0 then return 0 end
local batches = math.max(tonumber(c[3] or 0), tonumber(batch_name))
redis.call('HSET', KEYS[2], 'st', letters, 'at', attempts, 'nb', string.format('%.0f', batches))
if leased then redis.call('HSET', KEYS[2], 'b' .. batch_name, table.concat(batch, ',') .. ';' .. nonce) end
redis.call('HINCRBY', KEYS[1], 'open', marked)
return marked
