-- Makes a store where there is none, and looks whether one that is there is whole.
--
-- KEYS  store, then partition, runs, timers, found of each partition
-- ARGV  layout, number of partitions, id
--
-- Returns what is wrong with which key, or nothing but the id of the store.

local function kind(key)
    return redis.call('TYPE', key).ok
end

local is_new = redis.call('EXISTS', KEYS[1]) == 0
if not is_new and redis.call('HGET', KEYS[1], 'partitions') ~= ARGV[2] then
    return {'raced', KEYS[1]}
end
for n = 2, #KEYS, 4 do
    local partition, runs, timers, places = unpack(KEYS, n, n + 3)
    local kinds = {[partition] = 'hash', [runs] = 'zset', [timers] = 'zset',
        [places] = 'zset'}
    for key, wanted in pairs(kinds) do
        local found = kind(key)
        if found ~= 'none' and found ~= wanted then
            return {'foreign', key}
        end
    end
    if is_new and redis.call('EXISTS', partition, runs, timers, places) > 0 then
        return {'gone', KEYS[1]}
    elseif not is_new then
        local count = redis.call('HMGET', partition, 'epoch', 'appends', 'runs')
        if not (count[1] and count[2] and count[3]) then
            return {'gone', partition}
        elseif redis.call('ZCARD', runs) ~= tonumber(count[3]) then
            return {'gone', runs}
        end
    end
end
if is_new then
    for n = 2, #KEYS, 4 do
        redis.call('HSET', KEYS[n], 'epoch', 0, 'owner', '', 'until_ms', 0,
            'lease_ms', 0, 'appends', 0, 'runs', 0)
    end
    redis.call('HSET', KEYS[1], 'layout', ARGV[1], 'partitions', ARGV[2], 'id', ARGV[3])
end
return {redis.call('HGET', KEYS[1], 'id') or ''}
