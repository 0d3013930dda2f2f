-- Ends the hold on everything. KEYS: hold    ARGV: '' for any, else its kind    Returns 1 if there was such a hold.
if ARGV[1] ~= '' and redis.call('HGET', KEYS[1], 'kind') ~= ARGV[1] then return 0 end
return redis.call('DEL', KEYS[1])
