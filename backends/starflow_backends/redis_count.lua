-- Counts the runs of one partition that have one of some terms.
--
-- KEYS  found, runs
-- ARGV  prefix of the run or '', its end, earliest time, time past the latest, then
--       groups of terms, each begun by its length
--
-- Returns how many runs have the prefix, and how many places each group has.

local found, runs = unpack(KEYS)
local prefix, past, low, high = unpack(ARGV, 1, 4)

local counts = {0}
if prefix ~= '' then
    for phase = 0, 4 do
        counts[1] = counts[1] + redis.call('ZLEXCOUNT', runs,
            '[' .. phase .. ':' .. prefix, '(' .. phase .. ':' .. past)
    end
end
local at = 5
while at <= #ARGV do
    local count, last = 0, at + tonumber(ARGV[at])
    for n = at + 1, last do
        count = count + redis.call('ZLEXCOUNT', found,
            '[' .. ARGV[n] .. ' ' .. low, '(' .. ARGV[n] .. ' ' .. high)
    end
    counts[#counts + 1] = count
    at = last + 1
end
return counts
