-- The end of jobs, and stages: jobs whose items are made while a root job's rows end. It stands behind
-- `_common.lua`. A root names its stages in `stages`; the stage of an operation
-- is job~operation and names its root in `root` (worker/ledger/keys.py).

local function stage_ids(root, stages)
  local ids = {}
  for name in string.gmatch(stages or '', '%S+') do ids[#ids + 1] = root .. '~' .. name end
  return ids
end

-- Every job that moves with this one: itself, then its stages (whose end may be its own).
local function whole_job(prefix, job)
  local ids = stage_ids(job, redis.call('HGET', prefix .. ':job:' .. job, 'stages'))
  table.insert(ids, 1, job)
  return ids
end

-- Makes a chunk of the items that one list has gathered, up to a chunk's number.
local function close_list(prefix, job, stage, list, now)
  local key = prefix .. ':job:' .. job
  local items = redis.call('LPOP', key .. ':gathered:' .. list, stage.slice)
  if not items then return end
  local base = redis.call('HINCRBY', key, 'gathered', #items) - #items + 1
  local number = redis.call('HINCRBY', key, 'chunks', 1) - 1
  redis.call('HSET', string.format('%s:chunk:%s:%.0f', prefix, job, number), 'base', string.format('%.0f', base),
    'st', string.rep('.', #items), 'rows', '[' .. table.concat(items, ',') .. ']')
  if stage.state == 'running' then enlist(prefix, job, stage.connection, stage.lane, now) end
end

local function read_stage(prefix, job)
  local f = redis.call('HMGET', prefix .. ':job:' .. job, 'state', 'slice', 'apart', 'patience', 'connection', 'lane',
    'finished_at')
  local is_open = (f[1] == 'running' or f[1] == 'paused' or f[1] == 'held') and not f[7]
  return { state = f[1], slice = f[2], apart = f[3] == '1', patience = tonumber(f[4]), connection = f[5], lane = f[6],
    is_open = is_open }
end

-- Whether a root feeds its stages nothing more, or nothing before somebody lets it go on.
local function is_fed(prefix, root)
  local f = redis.call('HMGET', prefix .. ':job:' .. root, 'fed', 'state', 'why')
  return f[1] or (f[2] == 'paused' and f[3] == 'pilot')
end

-- Lets ticks see to all that a stage has gathered: nothing comes to it now. A list has as many targets
-- as it likes, so a script that does not end before all of them are seen to would hold up everybody.
local function hasten(prefix, job, now)
  if redis.call('EXISTS', prefix .. ':job:' .. job .. ':gathering') == 1 then
    redis.call('ZADD', prefix .. ':gathering', now, job)
  end
end

-- Makes chunks of the lists whose time has come, of so many at most; of any, where the stage is fed; and
-- drops them where it has ended. (A time further ahead than any is set was set before the clock was put
-- back.) Returns of how many.
local function gather(prefix, job, now, most)
  local lists, all = prefix .. ':job:' .. job .. ':gathering', prefix .. ':gathering'
  local stage = read_stage(prefix, job)
  local every = not stage.is_open or is_fed(prefix, string.match(job, '^[^~]+'))
  local due = redis.call('ZRANGEBYSCORE', lists, '-inf', every and '+inf' or now, 'LIMIT', 0, most)
  if not every and #due < most then
    local ahead = now + stage.patience + 1000
    for _, list in ipairs(redis.call('ZRANGEBYSCORE', lists, ahead, '+inf', 'LIMIT', 0, most - #due)) do
      due[#due + 1] = list
    end
  end
  for _, list in ipairs(due) do
    if stage.is_open then
      close_list(prefix, job, stage, list, now)
    else
      redis.call('DEL', prefix .. ':job:' .. job .. ':gathered:' .. list)
    end
    redis.call('ZREM', lists, list)
  end
  local first = redis.call('ZRANGE', lists, 0, 0, 'WITHSCORES')
  if first[2] then redis.call('ZADD', all, every and now or first[2], job) else redis.call('ZREM', all, job) end
  return #due
end

-- Feeds the stages of a root by rows that have just ended. rows: stage's name → row → its items, each
-- { target, JSON }; none: nothing is to be done for this guest. ended: row → letter, of those of
-- which it is a fact.
local function feed(prefix, root, chunk, rows, ended, now)
  for name, items_of in pairs(rows) do
    local job = root .. '~' .. name
    local stage = read_stage(prefix, job)
    if stage.is_open then
      local key, guests = prefix .. ':job:' .. job, prefix .. ':stage:' .. job .. ':' .. chunk
      local lists, skipped, fed = {}, {}, 0
      local in_order = {}
      for row in pairs(items_of) do
        if ended[row] then in_order[#in_order + 1] = tonumber(row) end
      end
      table.sort(in_order)
      for _, row in ipairs(in_order) do
        local items = items_of[string.format('%.0f', row)]
        if #items == 0 then skipped[#skipped + 1] = row end
        if #items > 1 then redis.call('HSET', guests, row, #items) end
        for _, item in ipairs(items) do
          local list = stage.apart and redis.sha1hex(item[1]) or 'all'
          lists[list] = lists[list] or {}
          table.insert(lists[list], item[2])
          fed = fed + 1
        end
      end
      for list, items in pairs(lists) do
        local left = 0
        for start = 1, #items, 1000 do
          left = redis.call('RPUSH', key .. ':gathered:' .. list, unpack(items, start, math.min(#items, start + 999)))
        end
        while left >= tonumber(stage.slice) do
          close_list(prefix, job, stage, list, now)
          left = left - tonumber(stage.slice)
        end
        if left > 0 then
          redis.call('ZADD', key .. ':gathering', 'NX', now + stage.patience, list)
          redis.call('ZADD', prefix .. ':gathering', 'LT', now + stage.patience, job)
        else
          redis.call('ZREM', key .. ':gathering', list)
        end
      end
      if fed > 0 then
        redis.call('HINCRBY', key, 'rows', fed)
        redis.call('HINCRBY', prefix .. ':connection:' .. stage.connection, 'accepted', fed)
      end
      if #skipped > 0 then
        local letters = redis.call('HGET', guests, 'st') or ''
        for _, row in ipairs(skipped) do letters = replace_at(letters, row, 'k') end
        redis.call('HSET', guests, 'st', letters)
        redis.call('HINCRBY', key, 'g:k', #skipped)
      end
    end
  end
end

-- Merges what became of a stage's items into its guests: the worst letter of a guest's items is
-- theirs once all have ended. guest_of: row → { root's chunk, index of the guest's row in it,
-- sentence }; ended: row → letter.
local WORST = { k = 0, g = 1, i = 2, u = 3, f = 4 }
local function merge(prefix, job, guest_of, ended)
  local letters, counts = {}, {}
  for row, new in pairs(ended) do
    local guest = guest_of[row]
    if guest then
      local guests = prefix .. ':stage:' .. job .. ':' .. guest[1]
      local index, said = string.format('%.0f', guest[2]), guest[3]
      local was = redis.call('HMGET', guests, index, 'm' .. index)
      local left, worst = string.match(was[1] or '1', '^(%d+)(%D?)$')
      if worst == '' or WORST[new] > WORST[worst] then worst = new end
      if said ~= '' then redis.call('HSET', guests, 'm' .. index, was[2] and was[2] .. ' ' .. said or said) end
      if tonumber(left) > 1 then
        redis.call('HSET', guests, index, string.format('%.0f', tonumber(left) - 1) .. worst)
      else
        if was[1] then redis.call('HDEL', guests, index) end
        letters[guests] = letters[guests] or {}
        letters[guests][guest[2]] = worst
        counts[worst] = (counts[worst] or 0) + 1
      end
    end
  end
  for guests, new in pairs(letters) do
    local known = redis.call('HGET', guests, 'st')
    if known then redis.call('HSET', guests, 'st', replace_all(known, new)) end
  end
  for letter, n in pairs(counts) do redis.call('HINCRBY', prefix .. ':job:' .. job, 'g:' .. letter, n) end
end

-- Whether a stage's chunk is not the one of which somebody speaks: a failover lost that, and items
-- lie together in another way since. chunk: its key; told: `rows` is the SHA-1 of the chunk's rows.
local function is_another_chunk(chunk, told)
  local rows = told.rows and redis.call('HGET', chunk, 'rows')
  return rows and redis.sha1hex(rows) ~= told.rows
end

-- Keeps for a stage's items what is known of them, by the guest, until they lie in a chunk again
-- (`claim`): a mark's time, or how they ended. What may as well be done anew is not kept.
-- items: row → { root's chunk, index of the guest's row in it, sentence, item's name };
-- known: row → what is known.
local KEPT = { i = true, g = true, u = true }
local function keep_known(prefix, job, items, known)
  for row, what in pairs(known) do
    local item = items[row]
    local guests = item and string.format('%s:stage:%s:%.0f', prefix, job, item[1])
    if item and redis.call('EXISTS', guests) == 1 then
      if KEPT[what] or tonumber(what) then
        redis.call('HSET', guests, 'w' .. item[4], what)
        redis.call('HSET', prefix .. ':job:' .. job, 'known', 1)
      elseif what ~= 'd' then
        redis.call('HDEL', guests, 'w' .. item[4])
      end
    end
  end
end

local function are_finished(prefix, ids)
  for _, id in ipairs(ids) do
    local f = redis.call('HMGET', prefix .. ':job:' .. id, 'state', 'finished_at')
    if f[1] and not f[2] then return false end
  end
  return true
end

-- Ends a job once nothing of it is left to happen: of a root, once its stages have ended too, and of
-- a stage, once its root can feed it no more. Returns its state.
local settle_job
function settle_job(prefix, job, now, never_ran)
  local key = prefix .. ':job:' .. job
  local f = redis.call('HMGET', key, 'state', 'rows', 'n:i', 'n:g', 'n:k', 'n:f', 'n:u', 'open', 'pilot', 'connection',
    'lane', 'finished_at',
    'root', 'stages', 'fed')
  local state, root, stages = f[1], f[13], f[14]
  if not state then return false end
  local final = 0
  for i = 3, 7 do final = final + (tonumber(f[i]) or 0) end
  local is_over = final >= tonumber(f[2])
  local is_open = state == 'running' or state == 'paused' or state == 'held'
  if root then is_over = is_over and redis.call('HEXISTS', prefix .. ':job:' .. root, 'fed') == 1 end
  local ids = stage_ids(job, stages)
  if is_over and is_open and stages then
    if not f[15] then
      redis.call('HSET', key, 'fed', 1)
      for _, id in ipairs(ids) do
        hasten(prefix, id, now)
        settle_job(prefix, id, now)
      end
      f[12] = redis.call('HGET', key, 'finished_at') -- its last stage may have ended it
    end
    is_over = are_finished(prefix, ids)
  end
  if is_open and is_over then
    state = 'done'
  elseif state == 'running' and f[9] and final >= tonumber(f[9]) and not f[15] then
    state = 'paused'
    redis.call('HSET', key, 'state', state, 'why', 'pilot')
    for _, id in ipairs(ids) do hasten(prefix, id, now) end
  end
  local is_cancelled = state == 'cancelled' and (tonumber(f[8]) or 0) <= 0 and (not stages or are_finished(prefix, ids))
  if (state == 'done' or is_cancelled) and not f[12] then
    redis.call('HSET', key, 'state', state, 'finished_at', string.format('%.0f', now))
    delist(prefix, job, f[10], f[11])
    local ever = prefix .. ':connection:' .. f[10]
    if state == 'done' and not is_nobodys_channel(f[10]) then redis.call('HINCRBY', ever, 'finished', 1) end
    if final < tonumber(f[2]) and not never_ran then redis.call('HINCRBY', ever, 'ended:c', tonumber(f[2]) - final) end
    if root then settle_job(prefix, root, now) else redis.call('SADD', prefix .. ':ending', job) end
  end
  return state
end
