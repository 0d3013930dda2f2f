-- Stands between a batch and the wire. Rows that pass are marked sending and must leave at once.
-- KEYS: leases, job, chunk, connection, tenant, hold, daily (without its date), bucket, bucket, ...
-- ARGV: ticket, wanted rows "i,i,i", daily limit (0: none), need (rows worth waiting for),
--   prefix, the tenant's index, resend (0/1 of each wanted row), 12 bytes of hash for each wanted row ('': no index),
--   fingerprint of the credential that bought the token, five numbers "n n n n n ..." of each
--   bucket: amount, window_ms, cost, how much of it is left alone (bulk work's; window 0: the
--   guarded pace, amount being its first rows per minute), 1 where channels take turns at it (bulk
--   work's, else 0), then 1 if the rows were looked up in the
--   directory just now (else 0), the caller's epoch ('': not asked for), this call's nonce, letters
--   only: a call that is repeated, because its answer was lost, grants the same again; the
--   milliseconds in which Graph answers, as far as is known; settle_ms; how long the index
--   remembers, in milliseconds
-- Returns {'go', batch number, now, 1 for a probe + 2 on probation + 4 for a row that tries a
--   throttled quota, known, blocked, rows "i,i,i", their attempts, a digit each, and the letters
--   they had}; known holds pairs of a row that was invited lately and "seconds:job" of that,
--   blocked the rows whose guest is on the wire elsewhere, or which have just been put in doubt in
--   the place of a deleted job's row; {'pass', known, blocked} if no other is left or {'wait',
--   milliseconds, why, for 'quota': jobs that take turns} or {'held', why} or {'stop', why}
local ticket, wanted_rows, daily_limit, worth, prefix, index, resend_of, wanted_hashes, fingerprint,
      bucket_numbers, was_looked_up, my_epoch, nonce, answer_ms, settle_ms, remember_ms =
  ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4]), ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9],
  ARGV[10], ARGV[11], ARGV[12], ARGV[13], tonumber(ARGV[14]), tonumber(ARGV[15]), tonumber(ARGV[16])
local now = now_ms()
local stamp = string.format('%.0f', now)
local t = parse_ticket(ticket)
local ends = redis.call('ZSCORE', KEYS[1], ticket)
if not ends or tonumber(ends) <= now then return { 'stop', 'lease' } end
local j = redis.call('HMGET', KEYS[2], 'state', 'created_at')
if j[1] ~= 'running' then return { 'stop', j[1] or 'deleted' } end
local c = redis.call('HMGET', KEYS[3], 'st', 'at', 'nb')
local letters, attempts = c[1], c[2]
if not letters then return { 'stop', 'deleted' } end

-- The gate
if redis.call('EXISTS', KEYS[6]) == 1 then return { 'held', 'all' } end
if redis.call('EXISTS', KEYS[5]) == 1 then return { 'held', 'tenant' } end
local gate = redis.call('HMGET', KEYS[4], 'gate', 'probe_at', 'probe_ms', 'kind', 'first')
local probe, day_over = 0, false
if gate[1] == 'held' and gate[4] == 'credential' then
  -- Whoever gets here has an access token: that is what a credential's hold waits for
  open_gate(KEYS[4])
elseif gate[1] == 'held' and gate[4] == 'daily_limit' then
  day_over = true -- or the limit was raised: it is looked at below
elseif gate[1] == 'held' then
  if not gate[2] or tonumber(gate[2]) > now then return { 'held', 'gate' } end
  probe = 1
end
local above = held_above(prefix, t.connection)
if above == 'credential' then
  open_gate(prefix .. ':connection:' .. string.match(t.connection, '^[^+]+'))
elseif above then
  return { 'held', 'gate' }
end

-- Probation: another's batch on the wire is waited for. One whose lease has ended will not be
-- recorded by its worker any more.
local p = redis.call('HMGET', KEYS[4], 'clean', 'flight', 'flight_ticket')
local probation = is_on_probation(p[1])
if probation and p[2] and p[3] ~= ticket then
  local flight_ends = redis.call('ZSCORE', KEYS[1], p[3])
  if flight_ends and tonumber(flight_ends) > now then return { 'wait', 100, 'probation' } end
end

-- This very call again: its first answer reached nobody, so its rows have not left. The mark is as
-- new as the answer.
local begun = tonumber(c[3] or 0)
local before = begun > 0 and redis.call('HGET', KEYS[3], string.format('b%.0f', begun))
local marked = before and string.match(before, '^%d+(.*;' .. nonce .. ')$')
if marked then
  redis.call('HSET', KEYS[3], string.format('b%.0f', begun), stamp .. marked)
  local granted, tries, were = {}, {}, {}
  for i, silent in string.gmatch(marked, ',(%d+)(q?)') do
    if letter_at(letters, tonumber(i)) == 's' then
      granted[#granted + 1] = i
      tries[#tries + 1] = letter_at(attempts, tonumber(i))
      were[#were + 1] = silent == 'q' and 'q' or '.'
    end
  end
  return { 'go', begun, now, probe + (probation and 2 or 0), {}, {}, table.concat(granted, ','), table.concat(tries),
    table.concat(were) }
end

-- The epoch (epoch.lua): a server that nobody has looked at yet may not know of rows that have
-- left; nor, until all have come in, may one that was looked at. Whoever still believes in an
-- earlier epoch writes its own again first.
local epoch = redis.call('HMGET', prefix .. ':epoch', 'id', 'n', 'quiet_until', 'servers')
if epoch[1] and epoch[1] ~= server_id() or (my_epoch ~= '' and my_epoch ~= epoch[2]) then return { 'stop', 'epoch' } end
if epoch[3] then return { 'wait', 500, 'epoch' } end

-- The rows, still pending; their numbers as text too, for Lua writes a number by way of floating
-- point, which takes longer than what is done with it here
local rows, names, hashes, is_resend, place = {}, {}, {}, {}, 0
local some_resent = string.find(resend_of, '1', 1, true)
for part in string.gmatch(wanted_rows, '%d+') do
  local i = tonumber(part)
  if is_pending_at(letters, i) then
    rows[#rows + 1] = i
    names[i] = part
    if some_resent then is_resend[#rows] = string.sub(resend_of, place + 1, place + 1) == '1' end
    hashes[#rows] = string.sub(wanted_hashes, place * 12 + 1, place * 12 + 12)
  end
  place = place + 1
end
if #rows == 0 then return { 'stop', 'nothing' } end
local n = #rows
if probe == 1 then n = 1 end

-- The guarded pace: doubles after each ten minutes without trouble; a longer pause does not count
-- as clean.
local clean_since = now
local function guarded(per_minute)
  local f = redis.call('HMGET', KEYS[4], 'clean_since', 'clean_at')
  if f[1] then
    clean_since = tonumber(f[1])
    local idle = now - tonumber(f[2])
    if idle > 600000 then clean_since = clean_since + idle end
  end
  per_minute = per_minute * 2 ^ math.min(10, math.max(0, math.floor((now - clean_since) / 600000)))
  local saved = math.max(1, per_minute / 60)
  return saved, saved / per_minute * 60000
end

-- The quota: as many as every bucket allows. While somebody waits for a single guest, whatever
-- comes in is theirs.
local numbers = string.gmatch(bucket_numbers, '%S+')
local function next_number() return tonumber(numbers()) end
local wait, buckets, rate, spare, trying = 0, {}, nil, nil, 0
if t.lane == 'b' then wait = math.max(0, (tonumber(gate[5]) or 0) - now) end
for b = 8, #KEYS do
  local amount, window, cost, kept, turns = next_number(), next_number(), next_number(), next_number(), next_number()
  local pace = window == 0
  if pace then amount, window = guarded(amount) end
  local k = bucket_read(KEYS[b], amount, window, now, answer_ms, turns == 1)
  -- Where our picture was wrong a list keeps a distance: somebody else is at work, or the limit is
  -- none of the kind that we take it for
  if k.learned and kept > 0 then kept = math.max(kept, amount / 20) end
  buckets[b], k.amount, k.window, k.cost, k.left, k.guarded = k, amount, window, cost, k.level - kept, pace
  if turns == 1 then
    k.in_turn, k.ahead = true, line_ahead(KEYS[b], k, t.connection, now)
  end
  if k.closed > now then wait = math.max(wait, k.closed - now) end
  -- Smaller batches where a whole one would be more than half of what comes in within a window
  if k.learned then n = math.min(n, math.max(1, math.floor(k.rate * window / 2 / cost))) end
  if k.trying then n, trying = 1, 4 end
end
local need = math.min(n, worth)
for b = 8, #KEYS do
  local k = buckets[b]
  local amount, cost = k.amount, k.cost
  -- Worth waiting for: a full batch, but no more than half a bucket (a full one would spill) or two
  -- seconds' refill; nor less than what shares one call
  local shares = math.max(1, math.floor(1 / cost + 1e-6))
  local half, soon = math.floor(amount / cost / 2), math.ceil(k.rate / cost * 2000)
  local worth_it = math.min(math.max(shares, half), math.max(shares, soon)) * cost
  local wanted = math.min(need * cost, worth_it)
  if k.in_turn then k.left = k.left - k.ahead * math.min(TURN, worth_it) end
  if k.left < wanted then
    k.wait = math.ceil((wanted - k.left) / k.rate)
    if k.in_turn then k.wait = math.min(k.wait, LINE_MS) end
    wait = math.max(wait, k.wait)
  end
  n = math.min(n, math.floor(k.left / cost + 1e-6))
  if not spare or k.left / cost < spare then spare, rate = k.left / cost, k.rate / cost end
end
if wait > 0 or n < 1 then
  wait = math.max(1, wait)
  for b = 8, #KEYS do
    local k = buckets[b]
    if k.in_turn and k.wait and k.wait >= wait then line_join(KEYS[b], k, t.connection, wait, now) end
  end
  redis.call('HSET', KEYS[4], 'spare', string.format('%.3f', spare), 'spare_at', stamp,
    'rate', string.format('%.9f', rate))
  -- and a moment to come back
  if t.lane == 'i' then redis.call('HSET', KEYS[4], 'first', string.format('%.0f', now + wait + 250)) end
  return { 'wait', wait, 'quota', redis.call('LLEN', rotation_of(prefix, t.connection, t.lane)) }
end
local limit = daily_limit -- by what was begun: what Graph refuses with 429 counts too, so it is never exceeded
if limit > 0 then
  local day = math.floor(now / 86400000)
  local key = KEYS[7] .. ':' .. string.format('%.0f', day)
  local sent = tonumber(redis.call('GET', key) or 0)
  n = math.min(n, limit - sent)
  if n < 1 then return { 'wait', (day + 1) * 86400000 - now, 'daily_limit' } end
end

-- A row's attempts after one more, a digit: nine stands for any more
local function tried_once_more(digits, index)
  return string.char(math.min(57, (string.byte(digits, index + 1) or 48) + 1))
end

-- The claim on each guest: whoever sends first has it
local chosen, known, blocked = {}, {}, {}
local indexed, claims, owners, entries = index ~= '', {}, {}, {}
local place_of = t.job .. ':' .. t.chunk .. ':'
local inherited = {} -- row → when a deleted job's row was sent whose answer never came
if indexed then
  owners = redis.call('HMGET', claims_of(index), unpack(hashes))
  entries = index_read(index, hashes, now, remember_ms)
  for k in pairs(is_resend) do
    if is_resend[k] then entries[k] = nil end
  end
end
-- What the claim on a guest means for a row that is about to leave: nil, or 'waits', or 'inherits'
-- and since when
local function met(owner, mine, resent)
  local at = tonumber(string.match(owner, '%d+$'))
  if string.sub(owner, 1, #mine) == mine and at >= tonumber(j[2] or 0) then return end -- its own, of an earlier try
  local whose, since = read_claim(prefix, owner)
  if whose == 'open' or (whose == 'lost' and since <= now and now - since < settle_ms) then return 'waits' end
  if whose == 'lost' and not resent then return 'inherits', math.min(since, now) end
end
for k = 1, #rows do
  if #chosen == n then break end
  local i, hash = rows[k], hashes[k]
  local free = true
  if indexed then
    local why, since
    if not entries[k] and owners[k] then why, since = met(owners[k], place_of .. names[i] .. ':', is_resend[k]) end
    if entries[k] then
      free = false
      known[#known + 1] = i
      known[#known + 1] = entries[k]
    elseif claims[hash] or why then
      free = false
      blocked[#blocked + 1] = i
      if why == 'inherits' and not claims[hash] then
        inherited[i], claims[hash] = since, place_of .. names[i] .. ':' .. string.format('%.0f', since)
      end
    else
      claims[hash] = place_of .. names[i] .. ':' .. stamp
    end
  end
  if free then chosen[#chosen + 1] = i end
end
if next(claims) then
  local pairs_of = { '', CLAIMS_KEPT_APART }
  for hash, mine in pairs(claims) do
    pairs_of[#pairs_of + 1] = hash
    pairs_of[#pairs_of + 1] = mine
  end
  redis.call('HSET', claims_of(index), unpack(pairs_of))
  redis.call('PEXPIRE', claims_of(index), CLAIMS_MS)
end
if not attempts or attempts == '' then attempts = string.rep('0', #letters) end
for i, since in pairs(inherited) do
  letters = replace_at(letters, i, 'd')
  redis.call('HSET', KEYS[3], 'st', letters, 'at', attempts, 'd' .. i, string.format('%.0f', since))
  redis.call('HINCRBY', KEYS[2], 'open', 1)
  look_at(prefix, t.connection, place_of .. i, now)
end
n = #chosen
-- What becomes of the row that another waits for may leave no memory: it is looked up anew before
-- it is sent
local is_looked_up = was_looked_up == '1' and #blocked == 0
if #blocked > 0 then redis.call('HDEL', KEYS[3], 'pc', 'pe') end
if n == 0 then return { 'pass', known, blocked } end
if limit > 0 then
  local key = KEYS[7] .. ':' .. math.floor(now / 86400000)
  redis.call('INCRBY', key, n)
  redis.call('PEXPIRE', key, 172800000)
end
for b = 8, #KEYS do
  local k = buckets[b]
  bucket_take(KEYS[b], k, n * k.cost, k.amount, k.window, now)
  if k.in_turn then line_leave(KEYS[b], k, t.connection) end
  -- until its answer is here (works.lua)
  if k.trying then redis.call('HSET', KEYS[b], BUCKET.closed, string.format('%.0f', now + 5000)) end
  if k.guarded then
    redis.call('HSET', KEYS[4], 'clean_since', string.format('%.0f', clean_since),
      'clean_at', stamp)
  end
end
if day_over then open_gate(KEYS[4]) end
if gate[5] and t.lane == 'i' then redis.call('HDEL', KEYS[4], 'first') end
if probe == 1 then
  local interval = math.min(900000, (tonumber(gate[3]) or 15000) * 2)
  redis.call('HSET', KEYS[4], 'probe_at', string.format('%.0f', now + interval),
    'probe_ms', string.format('%.0f', interval))
end

-- The mark Never used twice in a chunk, even if this batch is lost by a failover: an answer to it
-- then finds no other of that number
local number = math.max(tonumber(c[3] or 0), tonumber(t.fence) * 1000) + 1
local batch = { stamp }
local sending, attempted, tries, were, sent = {}, {}, {}, {}, {}
for k = 1, n do
  local i = chosen[k]
  local letter, name = letter_at(letters, i), names[i]
  sending[i], tries[k], were[k], sent[k] = 's', tried_once_more(attempts, i), letter, name
  attempted[i] = tries[k]
  batch[#batch + 1] = letter == 'q' and name .. 'q' or name
end
letters, attempts = replace_all(letters, sending), replace_all(attempts, attempted)
redis.call('HSET', KEYS[3], 'st', letters, 'at', attempts, 'nb', string.format('%.0f', number),
  string.format('b%.0f', number), table.concat(batch, ',') .. ';' .. nonce)
-- as mark_checked.lua
if is_looked_up then redis.call('HSET', KEYS[3], 'pc', stamp, 'pe', epoch[4] or '0') end
redis.call('HINCRBY', KEYS[2], 'open', n)
redis.call('HSET', KEYS[4], 'spare', string.format('%.3f', spare - n), 'spare_at', stamp,
  'rate', string.format('%.9f', rate),
  'good', fingerprint, 'good_at', stamp)
if probation then
  redis.call('HSET', KEYS[4], 'flight', string.format('%s:%s:%.0f', t.job, t.chunk, number), 'flight_ticket', ticket)
end
return { 'go', number, now, probe + (probation and 2 or 0) + trying, known, blocked, table.concat(sent, ','),
  table.concat(tries), table.concat(were) }
