-- Writes what came back. A final letter that an answer or the directory gave is a fact and is taken
-- whoever brings it, as long as the row has none; anything else is taken only for a row that still
-- waits for this very answer (of this batch, of this look-up).
-- KEYS: job, chunk    ARGV: prefix, job, chunk, connection, lane, batch (0: a look-up, or rows that
--   end unsent), settle_ms, blob of outcomes, blob of links, the tenant's index, refusals in a row
--   that hold the job (0: none do), share of the first 100 answers that does (1: none), what each
--   row's answer counts as ('-' nothing, 'o' good, 'x' refused, 'd…' refused for this domain), what
--   stands before the outcomes in a finished chunk ('': this is not the chunk's end, else both
--   blobs are of all its rows), blobs recorded before that, what the audit trail keeps of it ('':
--   nothing), audit_keep_ms, the rows, each "row letter wait_ms:attempt;" without the space
--   (wait_ms of 'd': when to look again; of a row put off: when to send it again; else 0; attempt
--   looked up, or not known to have failed: its time; else 0), 12 bytes of
--   hash for each of them ('': no index), how long the index remembers, in milliseconds, and (JSON,
--   '': neither) how these rows feed the stages of their job, or whose items these are where their
--   job is a stage (`_jobs.lua`)
-- Returns {'ok' | 'folded' | 'gone', rows left to send in the chunk, rows in doubt or on the wire
--   in it, job's state, rows taken, blob number}
local prefix, job, chunk, connection, lane, batch_name, settle_ms, outcomes, links, index, most_in_a_row,
      most_share, row_marks, head, blobs_before, trail, keep_ms, row_changes, packed_hashes,
      remember_ms, chained =
  ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5], ARGV[6], tonumber(ARGV[7]), ARGV[8], ARGV[9], ARGV[10],
  tonumber(ARGV[11]), tonumber(ARGV[12]), ARGV[13], ARGV[14], ARGV[15], ARGV[16], tonumber(ARGV[17]),
  ARGV[18], ARGV[19], tonumber(ARGV[20]), ARGV[21]
local batch, now, place_of = tonumber(batch_name), now_ms(), job .. ':' .. chunk .. ':'
local told = chained ~= '' and cjson.decode(chained) or {}
local c = redis.call('HMGET', KEYS[2], 'st', 'ph', 'at')
local letters = c[1]
if told.guests and redis.call('EXISTS', KEYS[1]) == 1 and (not letters or is_another_chunk(KEYS[2], told)) then
  local known = {}
  for row, new in string.gmatch(row_changes, '(%d+)(%D)%d+:%d+;') do known[row] = new end
  keep_known(prefix, job, told.guests, known)
  return { 'gone', 0, 0, 'deleted', 0, 0 }
end
local function remember(guests)
  if guests[1] then index_write(index, guests, now, job, remember_ms) end
end
if not letters or redis.call('EXISTS', KEYS[1]) == 0 then
  -- Deleted with rows on the wire: who was invited is known all the same, and who was not is free
  -- for other jobs
  local guests, decided, place = {}, {}, 0
  for row, new in string.gmatch(row_changes, '(%d+)(%D)%d+:%d+;') do
    local hash = string.sub(packed_hashes, place * 12 + 1, place * 12 + 12)
    place = place + 1
    if hash ~= '' and new == 'i' then guests[#guests + 1] = hash end
    if hash ~= '' and new ~= 'd' and new ~= 'u' then decided[hash] = place_of .. row .. ':' end
  end
  remember(guests)
  give_up_claims(index, decided)
  return { 'gone', 0, 0, 'deleted', 0, 0 }
end
local flight = prefix .. ':connection:' .. connection
if batch > 0 and redis.call('HGET', flight, 'flight') == job .. ':' .. chunk .. ':' .. batch_name then
  redis.call('HDEL', flight, 'flight', 'flight_ticket')
end
local mine = batch > 0 and rows_of_batch(KEYS[2], string.format('b%.0f', batch)) or {}

local marks, answered = {}, {} -- what each row's answer counts as; of those that are news, in their order
for mark in string.gmatch(row_marks, '[^,]+') do marks[#marks + 1] = mark end
-- Of a job that has ended, its cancelled rows counted as that, no look-up changes a row that was
-- never sent
local over = batch == 0 and redis.call('HGET', KEYS[1], 'finished_at')
local counts, resolved, opened, taken, revived = {}, {}, 0, 0, false
local changed, ended = {}, {} -- row → its new letter; of those that have ended by this, by the row as text
local untaken = {} -- of a stage: row → what is said of it, though the ledger knows of no mark
local invited, given_up = {}, {} -- guests, by hash; claims on guests: hash → whose they should be
local place = 0
for row, new, wait, attempt in string.gmatch(row_changes, '(%d+)(%D)(%d+):(%d+);') do
  local i, hash = tonumber(row), string.sub(packed_hashes, place * 12 + 1, place * 12 + 12)
  place = place + 1
  local old = changed[i] or letter_at(letters, i)
  local waiting
  if batch > 0 then
    waiting = old == 's' and mine[row] ~= nil
  else
    waiting = old == 'd' and redis.call('HGET', KEYS[2], 'd' .. row) == attempt
  end
  local fact = is_final(new) and not is_final(old)
  if batch == 0 and not waiting and (over or not is_pending(old) or (new == 'u' and attempt ~= '0')) then
    fact = false -- ended unsent, or seen before it was sent: meanwhile another worker has sent it
  end
  if hash ~= '' and fact and new == 'i' then
    invited[#invited + 1] = hash
    given_up[hash] = place_of .. row .. ':'
  elseif hash ~= '' and (fact or (waiting and is_pending(new))) then
    given_up[hash] = place_of .. row .. ':'
  end
  local ended_doubt = old == 'd' and (fact or (waiting and is_pending(new)))
  if ended_doubt then
    redis.call('ZREM', prefix .. ':connection:' .. connection .. ':doubts', job .. ':' .. chunk .. ':' .. row)
    -- what that attempt may still bring about is ours
    if is_pending(new) then redis.call('HSETNX', KEYS[2], 'f' .. row, attempt) end
    resolved[new] = (resolved[new] or 0) + 1
    redis.call('HDEL', KEYS[2], 'd' .. row)
  end
  local tries = (string.byte(c[3] or '', i + 1) or 48) - 48 -- a digit, without the way over floating point
  if fact and (old == 'd' or tries > (is_pending(old) and 0 or 1)) then
    redis.call('HDEL', KEYS[2], 'f' .. row)
  end
  if fact then
    if not is_pending(old) then opened = opened - 1 end
    changed[i], ended[row] = new, new
    counts[new] = (counts[new] or 0) + 1
    taken = taken + 1
    if batch > 0 then answered[#answered + 1] = marks[place] end
  elseif waiting and is_pending(new) then
    changed[i] = new
    if batch > 0 and attempt ~= '0' then redis.call('HSETNX', KEYS[2], 'f' .. row, mine[row]) end
    if wait ~= '0' then redis.call('HSET', KEYS[2], 'w' .. row, string.format('%.0f', now + tonumber(wait))) end
    opened = opened - 1
    revived = revived or ended_doubt
    taken = taken + 1
  elseif waiting and new == 'd' then
    if old == 's' then
      redis.call('HSET', KEYS[2], 'd' .. row, mine[row])
      changed[i] = 'd'
    end
    look_at(prefix, connection, job .. ':' .. chunk .. ':' .. row, now + (wait ~= '0' and tonumber(wait) or settle_ms))
    taken = taken + 1
  elseif told.guests and is_pending(old) then
    untaken[row] = new
  end
end
-- What is said of items whose marks a failover lost
if next(untaken) then keep_known(prefix, job, told.guests, untaken) end
letters = replace_all(letters, changed)
remember(invited)
give_up_claims(index, given_up)
-- A row of the batch that was not spoken of: nobody will ask for it again, so it is looked up like
-- any lost answer
if batch > 0 then
  letters = doubt_batch(prefix, job, chunk, connection, string.format('b%.0f', batch), letters, settle_ms, mine)
end
redis.call('HSET', KEYS[2], 'st', letters)
for letter, n in pairs(counts) do
  redis.call('HINCRBY', KEYS[1], 'n:' .. letter, n)
  redis.call('HINCRBY', flight, 'ended:' .. letter, n) -- what `usher metrics` shows: it outlives the job
end
for word, n in pairs(resolved) do redis.call('HINCRBY', flight, 'resolved:' .. word, n) end
if opened ~= 0 then redis.call('HINCRBY', KEYS[1], 'open', opened) end
local number, verb = 0, 'ok'
if head ~= '' and taken > 0 and not string.find(letters, '[.qsd]')
    and (redis.call('HGET', KEYS[2], 'no') or '0') == blobs_before and redis.call('HEXISTS', KEYS[2], 'rows') == 1 then
  fold(KEYS[2], letters, head .. outcomes, links)
  keep_trail(prefix, job .. ':' .. chunk, trail, keep_ms, now)
  verb = 'folded'
elseif outcomes ~= '' and taken > 0 then
  number = redis.call('HINCRBY', KEYS[2], 'no', 1)
  redis.call('HSET', KEYS[2], 'o' .. number, outcomes)
  if links ~= '' then redis.call('HSET', KEYS[2], 'l' .. number, links) end
end

-- A run of refusals: something is wrong with the list or the tenant, and a person decides whether
-- the rest is to be tried
local why
if #answered > 0 then
  local f = redis.call('HMGET', KEYS[1], 'run', 'heard', 'heard_refused')
  local run, heard, refused = tonumber(f[1]) or 0, tonumber(f[2]) or 0, tonumber(f[3]) or 0
  local longest = run
  for _, mark in ipairs(answered) do
    -- Of a domain that is refused as a whole the first refusal counts, whoever got it
    if mark == 'x' or (string.sub(mark, 1, 1) == 'd' and redis.call('HSETNX', KEYS[1], mark, 1) == 1) then
      run = run + 1
      longest = math.max(longest, run)
      if heard < 100 then heard, refused = heard + 1, refused + 1 end
    elseif mark == 'o' then
      run = 0
      if heard < 100 then heard = heard + 1 end
    end
  end
  redis.call('HSET', KEYS[1], 'run', run, 'heard', heard, 'heard_refused', refused)
  if most_in_a_row > 0 and longest >= most_in_a_row then
    why = string.format('Microsoft refused %d rows in a row', longest)
  elseif refused > most_share * 100 and (tonumber(f[2]) or 0) < 100 then
    why = string.format('Microsoft refused %d of the first %d rows', refused, heard)
  end
end
if next(ended) then
  if told.feeds then feed(prefix, job, chunk, told.feeds, ended, now) end
  if told.guests then merge(prefix, job, told.guests, ended) end
end
if revived and c[2] == 'x' then requeue(prefix, job, chunk, connection, lane, now, now) end
local state = settle_job(prefix, job, now)
if why and state == 'running' then
  state = 'held'
  local named = string.match(job, '^[^~]+') -- people know the job, not its stage
  redis.call('HSET', KEYS[1], 'state', state, 'why',
    why .. ', so the rest of this job waits for a person: look at why (usher jobs results '
    .. named .. '), then let it go on (usher jobs resume ' .. named .. ') or end it (usher jobs cancel '
    .. named .. ').')
  if keep_ms > 0 then
    note(prefix, cjson.encode({ what = 'job.held', by = 'usher', job = job, connection = connection, why = why }),
      keep_ms, now)
  end
end
local _, pending = string.gsub(letters, '[.q]', '')
local _, open = string.gsub(letters, '[sd]', '')
return { verb, pending, open, state or 'deleted', taken, number }
