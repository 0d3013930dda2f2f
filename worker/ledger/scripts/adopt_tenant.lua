-- Notes the id of a tenant that was known by a domain name. What an earlier usher kept by the name
-- stays in force for the id: the hashes of its index cannot be made anew without the addresses, so
-- the index of the id goes on under the name; a block by Microsoft, and what an operator held, is
-- the id's from now on. Where the ledger knew both already, the id's own stays.
-- KEYS: tenant-ids, index-tenants, index-names, tenant (by name), tenant (by id), held-as (by name),
--   held-as (by id)    ARGV: tenant key with the name, the one with the id, "id time"
local by_name, by_id, found = ARGV[1], ARGV[2], ARGV[3]
local first = redis.call('HEXISTS', KEYS[1], by_name) == 0
redis.call('HSET', KEYS[1], by_name, found)
if not first then return end
if redis.call('SISMEMBER', KEYS[2], by_name) == 1 and redis.call('SISMEMBER', KEYS[2], by_id) == 0 then
  redis.call('HSETNX', KEYS[3], by_id, by_name)
end
if redis.call('EXISTS', KEYS[4]) == 1 then redis.call('RENAMENX', KEYS[4], KEYS[5]) end
redis.call('SUNIONSTORE', KEYS[7], KEYS[6], KEYS[7])
redis.call('DEL', KEYS[6])
