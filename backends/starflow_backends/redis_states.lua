-- Says who has partitions now.
--
-- KEYS  partitions
--
-- Returns for each: epoch, owner, milliseconds until its lease ends, number of runs.

local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local answer = {}
for n, key in ipairs(KEYS) do
    local found = redis.call('HMGET', key, 'epoch', 'owner', 'until_ms', 'runs')
    local left_ms = math.max(0, (tonumber(found[3]) or 0) - now_ms)
    answer[n] = {found[1] or '0-', found[2] or '', left_ms, tonumber(found[4]) or 0}
end
return answer
