-- Says what store there is, and begins one where there is none.
--
-- KEYS  store
-- ARGV  layout, number of partitions, id
--
-- Returns layout, number of partitions, id, and '1' if all its partitions were made.

local key = KEYS[1]
local kind = redis.call('TYPE', key).ok
if kind == 'none' then
    redis.call('HSET', key, 'layout', ARGV[1], 'partitions', ARGV[2], 'id', ARGV[3])
elseif kind ~= 'hash' then
    return {'not ours', '', '', ''}
end
return redis.call('HMGET', key, 'layout', 'partitions', 'id', 'made')
