-- Renews the lease of partitions, or ends it.
--
-- KEYS  partitions
-- ARGV  length of the lease in milliseconds, 0 to end it; then the epoch of each
--
-- Returns '' and the number of appends of each, or the owner of one that was taken.

local answer = {''}
for n, key in ipairs(KEYS) do
    local found = redis.call('HMGET', key, 'epoch', 'owner', 'appends')
    if found[1] ~= ARGV[n + 1] then
        return {found[2] or ''}
    end
    answer[n + 1] = tonumber(found[3])
end
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local until_ms = string.format('%d', now_ms + tonumber(ARGV[1]))
for _, key in ipairs(KEYS) do
    redis.call('HSET', key, 'until_ms', until_ms)
    if ARGV[1] == '0' then
        redis.call('HSET', key, 'owner', '')
    end
end
return answer
