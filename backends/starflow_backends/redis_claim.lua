-- Takes partitions, all or none; each gets a new epoch, which refuses what the owner
-- before may still write.
--
-- KEYS  partitions
-- ARGV  owner, length of the lease in milliseconds, an owner who is known to be dead
--
-- Returns {owner, when its lease ends, now}, both in milliseconds, if somebody has one
-- of them; otherwise '' and, for each, its epoch and its number of appends.

local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function after(length_ms)
    return string.format('%d', now_ms + tonumber(length_ms))
end

local held
for _, key in ipairs(KEYS) do
    local found = redis.call('HMGET', key, 'owner', 'until_ms', 'lease_ms')
    local owner, until_ms, lease_ms = found[1], tonumber(found[2]), tonumber(found[3])
    if owner ~= '' and owner ~= ARGV[3] and until_ms > now_ms then
        if until_ms > now_ms + lease_ms then
            -- The clock went back, perhaps by hours, and nobody shall wait for it.
            until_ms = now_ms + lease_ms
            redis.call('HSET', key, 'until_ms', after(lease_ms))
        end
        if not held or until_ms > held[2] then
            held = {owner, until_ms}
        end
    end
end
if held then
    return {held[1], string.format('%d', held[2]), after(0)}
end
local answer = {''}
for _, key in ipairs(KEYS) do
    redis.call('HSET', key, 'owner', ARGV[1], 'lease_ms', ARGV[2],
        'until_ms', after(ARGV[2]))
    answer[#answer + 1] = redis.call('HINCRBY', key, 'epoch', 1)
    answer[#answer + 1] = tonumber(redis.call('HGET', key, 'appends'))
end
return answer
