-- Makes partitions that are not there yet, and looks whether those that are are whole.
--
-- KEYS  partition, runs, timers, found of each partition
-- ARGV  id of the store; '1' if all its partitions were made before
--
-- Returns what is wrong with which key, or nothing.

local store, is_made = ARGV[1], ARGV[2] == '1'

local function kind(key)
    return redis.call('TYPE', key).ok
end

for n = 1, #KEYS, 4 do
    local partition, runs, timers, places = unpack(KEYS, n, n + 3)
    local kinds = {[partition] = 'hash', [runs] = 'zset', [timers] = 'zset',
        [places] = 'zset'}
    for key, wanted in pairs(kinds) do
        local found = kind(key)
        if found ~= 'none' and found ~= wanted then
            return {'foreign', key}
        end
    end
    local found = redis.call('HMGET', partition, 'store', 'epoch', 'appends', 'runs')
    if found[1] and found[1] ~= store then
        return {'another', partition}
    elseif found[1] then
        if not (found[2] and found[3] and found[4]) then
            return {'gone', partition}
        elseif redis.call('ZCARD', runs) ~= tonumber(found[4]) then
            return {'gone', runs}
        end
    elseif is_made or redis.call('EXISTS', partition, runs, timers, places) > 0 then
        return {'gone', partition}
    end
end
for n = 1, #KEYS, 4 do
    if redis.call('EXISTS', KEYS[n]) == 0 then
        redis.call('HSET', KEYS[n], 'store', store, 'epoch', '0-', 'owner', '',
            'until_ms', 0, 'lease_ms', 0, 'appends', 0, 'claimed', 0, 'runs', 0)
    end
end
return {}
