-- The index of guests, and the claims on them. It stands behind `_common.lua`.

-- The index of guests (worker/ledger/guests/guest_index.py): base is the tenant's beginning of names, hash
-- 12 raw bytes. base:{generation}:all says that there is anything of a generation, so that a tenant
-- without an old one is not asked for it guest by guest. (A script looks at one tenant's, so what
-- it finds out about a generation is kept by its number.)
local GENERATION_MS = 30 * 86400000
local EVER_MS = 3650 * 86400000 -- what may have been written while `[ledger].remember` was at its longest
local generations = {} -- number → what its names begin with, or false where there is nothing of it
local function index_prefix(base, generation)
  local prefix = generations[generation]
  if prefix == nil then
    prefix = string.format('%s:%.0f:', base, generation)
    if redis.call('EXISTS', prefix .. 'all') == 0 then prefix = false end
    generations[generation] = prefix
  end
  return prefix
end

-- The generations that there are, newest first, of those in which something of the last so many
-- milliseconds may be.
local function index_prefixes(base, now, remember_ms)
  local found = {}
  for g = math.floor(now / GENERATION_MS), math.floor((now - remember_ms) / GENERATION_MS), -1 do
    local prefix = index_prefix(base, g)
    if prefix then found[#found + 1] = prefix end
  end
  return found
end

local function index_place(prefix, hash)
  local high, low = string.byte(hash, 1, 2)
  return prefix .. high * 16 + math.floor(low / 16), string.sub(hash, 3)
end

local function hashes_of(text)
  local hashes = {}
  for k = 1, #text / 12 do hashes[k] = string.sub(text, k * 12 - 11, k * 12) end
  return hashes
end

-- An entry: when the guest was invited, in seconds, as four bytes; then by which job.
local function write_entry(now, job)
  return struct.pack('>I4', math.floor(now / 1000)) .. job
end

local function read_entry(entry)
  return struct.unpack('>I4', entry), string.sub(entry, 5)
end

-- Who of several guests was invited within the last so many milliseconds: their place in the list →
-- "seconds:job".
local function index_read(base, hashes, now, remember_ms)
  local found = {}
  for _, prefix in ipairs(index_prefixes(base, now, remember_ms)) do
    for k = 1, #hashes do
      if not found[k] then
        local entry = redis.call('HGET', index_place(prefix, hashes[k]))
        local at, job
        if entry then at, job = read_entry(entry) end
        if at and now - at * 1000 <= remember_ms then found[k] = string.format('%.0f:', at) .. job end
      end
    end
  end
  return found
end

-- Notes that several guests were invited just now.
local function index_write(base, hashes, now, job, remember_ms)
  local generation, entry = math.floor(now / GENERATION_MS), write_entry(now, job)
  local ends = string.format('%.0f', (generation + 1) * GENERATION_MS + remember_ms + 86400000)
  local prefix = index_prefix(base, generation)
  if not prefix then
    prefix = string.format('%s:%.0f:', base, generation)
    redis.call('SET', prefix .. 'all', 1, 'PXAT', ends)
    generations[generation] = prefix
  end
  local keys, fields = {}, {}
  for k, hash in ipairs(hashes) do keys[k], fields[k] = index_place(prefix, hash) end
  -- and so have their expiry: nearly always, once a tenant has some guests
  local all_there = redis.call('EXISTS', unpack(keys)) == #keys
  for k, key in ipairs(keys) do
    if redis.call('HSET', key, fields[k], entry) == 1 and not all_there and redis.call('HLEN', key) == 1 then
      redis.call('PEXPIREAT', key, ends)
    end
  end
end

-- The claims on guests of a tenant, one hash: hash → job:chunk:row:time, the row that is on the
-- wire or in doubt for this guest, and when it was marked. Its field without a name holds more than
-- Redis packs into a list, so that looking one up does not cost the more the more there are.
local CLAIMS_KEPT_APART = string.rep('-', 65) -- hash-max-listpack-value is 64
-- what a deleted job left there goes when the tenant has been quiet for so long; a row in doubt may
-- wait long too
local CLAIMS_MS = 60 * 86400000
local function claims_of(base)
  return base .. ':claims:all'
end

-- Whose a claim is: 'open' while its row waits for its answer. 'lost', and since when, once the job
-- is gone (or another one has its id by now): the answer may still come, and nobody but the next
-- row for this guest will ask what became of it. Nothing where the row ended.
local function read_claim(prefix, claim)
  local job, chunk, row, at = string.match(claim, '^([^:]*):([^:]*):([^:]*):(%d+)$')
  if not job then return end
  local made = redis.call('HGET', prefix .. ':job:' .. job, 'created_at')
  local letters = redis.call('HGET', prefix .. ':chunk:' .. job .. ':' .. chunk, 'st')
  if not made or not letters or tonumber(made) > tonumber(at) then return 'lost', tonumber(at) end
  local letter = letter_at(letters, tonumber(row))
  if letter == 's' or letter == 'd' then return 'open' end
end

-- Drops claims, those of them that are still the row's: hash → "job:chunk:row:".
local function give_up_claims(base, rows)
  if not next(rows) then return end
  local hashes, gone = {}, {}
  for hash in pairs(rows) do hashes[#hashes + 1] = hash end
  for k, claim in ipairs(redis.call('HMGET', claims_of(base), unpack(hashes))) do
    local row = rows[hashes[k]]
    if claim and string.sub(claim, 1, #row) == row then gone[#gone + 1] = hashes[k] end
  end
  if gone[1] then redis.call('HDEL', claims_of(base), unpack(gone)) end
end
