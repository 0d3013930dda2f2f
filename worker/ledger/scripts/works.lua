-- A row that tried a throttled quota alone went through: the others may follow, slowly, since its
-- bucket was emptied for it.
-- KEYS: bucket, ...
for b = 1, #KEYS do
  if redis.call('HDEL', KEYS[b], BUCKET.trying) == 1 then redis.call('HDEL', KEYS[b], BUCKET.closed) end
end
