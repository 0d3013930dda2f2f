-- Ends the hold on everything. KEYS: hold    ARGV: '' for any, else its kind    Returns 1 if there
-- was such a hold.
local kind = ARGV[1]
if kind ~= '' and redis.call('HGET', KEYS[1], 'kind') ~= kind then return 0 end
return redis.call('DEL', KEYS[1])
