-- Removes one run, and refuses its key for a while.
--
-- KEYS  partition, runs, timers, run, log, found, tombstone
-- ARGV  epoch, run, expected version, how long its key is refused, in milliseconds
--
-- Returns {the number of appends of the partition, whether there was such a run}, or
-- {what is wrong, detail}.

local partition, runs, timers, head, log, found, tombstone = unpack(KEYS)
local epoch, run, expected, refused_ms = unpack(ARGV)

local owned = redis.call('HMGET', partition, 'epoch', 'owner', 'appends')
if owned[1] ~= epoch then
    return {'owner', owned[2] or ''}
end
local before = redis.call('HMGET', head, 'version', 'phase', 'entry')
if not before[1] then
    return {tonumber(owned[3]), 0}
end
if before[1] ~= expected then
    return {'conflict', before[1]}
end
for _, field in ipairs(redis.call('HKEYS', head)) do
    local name = string.match(field, '^timer:(.*)$')
    if name then
        local value = redis.call('HGET', head, field)
        redis.call('ZREM', timers, value .. ' ' .. run .. '\0' .. name)
    end
end
if before[3] then
    for place in string.gmatch(string.match(before[3], '^........([^\n]*)') or '', '[^,]+') do
        redis.call('ZREM', found, place .. ' ' .. run)
    end
end
redis.call('ZREM', runs, before[2] .. ':' .. run)
redis.call('UNLINK', head, log)
redis.call('HINCRBY', partition, 'runs', -1)
if tonumber(refused_ms) > 0 then
    redis.call('SET', tombstone, '1', 'PX', refused_ms)
end
return {redis.call('HINCRBY', partition, 'appends', 1), 1}
