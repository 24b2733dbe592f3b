-- Makes a server a member, renews that, or ends it; and says who is a member now.
--
-- KEYS  members
-- ARGV  id of a server or '', length of its lease in milliseconds or 0 to end it, what
--       is kept of it
--
-- Returns for each member: id, milliseconds until its lease ends, when it began in
-- milliseconds, what is kept of it.

local key = KEYS[1]
local id, lease_ms, kept = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)

local function parts(value)
    return string.match(value, '^(%d+) (%d+) (.*)$')
end

if id ~= '' and lease_ms == 0 then
    redis.call('HDEL', key, id)
elseif id ~= '' then
    local before = redis.call('HGET', key, id)
    local _, began_ms = parts(before or '')
    redis.call('HSET', key, id, string.format('%d %s %s', now_ms + lease_ms,
        began_ms or string.format('%d', now_ms), kept))
end
local answer = {}
local all = redis.call('HGETALL', key)
for n = 1, #all, 2 do
    local until_ms, began_ms, what = parts(all[n + 1])
    local left_ms = (tonumber(until_ms) or 0) - now_ms
    if left_ms > 0 then
        answer[#answer + 1] = {all[n], left_ms, began_ms, what}
    else
        redis.call('HDEL', key, all[n])
    end
end
return answer
