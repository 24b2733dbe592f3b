-- Clears the index of one run, unless it has changed since it was looked at.
--
-- KEYS  partition, runs, timers, run, found
-- ARGV  epoch, run, append id, crc of the head that it has afterwards
--
-- Returns {'owner', its owner} if the partition was taken, and nothing otherwise.

local partition, runs, timers, head, found = unpack(KEYS)
local epoch, run, append_id, crc = unpack(ARGV)
local owned = redis.call('HMGET', partition, 'epoch', 'owner')
if owned[1] ~= epoch then
    return {'owner', owned[2] or ''}
end
local before = redis.call('HMGET', head, 'append', 'phase', 'entry')
if before[1] ~= append_id then
    return {}
end
for _, field in ipairs(redis.call('HKEYS', head)) do
    local name = string.match(field, '^timer:(.*)$')
    if name then
        local value = redis.call('HGET', head, field)
        redis.call('ZREM', timers, value .. ' ' .. run .. '\0' .. name)
    end
    if name or string.match(field, '^attempt:') then
        redis.call('HDEL', head, field)
    end
end
if before[3] then
    for place in string.gmatch(string.match(before[3], '^........([^\n]*)') or '', '[^,]+') do
        redis.call('ZREM', found, place .. ' ' .. run)
    end
    redis.call('HDEL', head, 'entry')
end
redis.call('ZREM', runs, before[2] .. ':' .. run)
redis.call('ZADD', runs, 0, '0:' .. run)
redis.call('HSET', head, 'phase', 0, 'note', '', 'crc', crc)
return {}
