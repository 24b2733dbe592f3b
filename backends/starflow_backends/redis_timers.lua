-- Looks for timers that are due by the clock of Redis.
--
-- KEYS  sets of timers
-- ARGV  the most timers of each
--
-- Returns the time in nanoseconds, the timers that are due, and of each set that has one
-- the first that is not.

local time = redis.call('TIME')
local now_ns = time[1] .. string.format('%06d', tonumber(time[2])) .. '000'
-- Past those that are due in this very nanosecond.
local bound = string.rep('0', 20 - #now_ns) .. now_ns .. '!'
local found, others = {}, {}
for _, key in ipairs(KEYS) do
    local due = redis.call('ZRANGEBYLEX', key, '-', '(' .. bound, 'LIMIT', 0, ARGV[1])
    local other = redis.call('ZRANGEBYLEX', key, '[' .. bound, '+', 'LIMIT', 0, 1)
    for _, member in ipairs(due) do
        found[#found + 1] = member
    end
    others[#others + 1] = other[1]
end
return {now_ns, found, others}
