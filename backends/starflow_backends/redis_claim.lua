-- Takes partitions, all or none; each gets a new epoch, which refuses what the owner
-- before may still write.
--
-- KEYS  partitions
-- ARGV  owner, length of the lease in milliseconds
--
-- Returns {owner, when its lease ends, now}, both in milliseconds, if somebody has one
-- of them; otherwise '' and, for each, its epoch and its number of appends.

local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
for _, key in ipairs(KEYS) do
    local found = redis.call('HMGET', key, 'owner', 'until_ms')
    if found[1] ~= '' and tonumber(found[2]) > now_ms then
        return {found[1], found[2], string.format('%d', now_ms)}
    end
end
local answer = {''}
local until_ms = string.format('%d', now_ms + tonumber(ARGV[2]))
for _, key in ipairs(KEYS) do
    redis.call('HSET', key, 'owner', ARGV[1], 'until_ms', until_ms)
    answer[#answer + 1] = redis.call('HINCRBY', key, 'epoch', 1)
    answer[#answer + 1] = tonumber(redis.call('HGET', key, 'appends'))
end
return answer
