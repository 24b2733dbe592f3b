-- Looks for runs in sets that are given with a place to go on from.
--
-- KEYS  the set of runs, for each place
-- ARGV  the most runs of each, then the places: `PHASE:RUN`
--
-- Returns for each place the members after it that have its phase, joined by zeros.

local answer = {}
for n, key in ipairs(KEYS) do
    local after = ARGV[n + 1]
    local found = redis.call('ZRANGEBYLEX', key, '(' .. after,
        '(' .. string.sub(after, 1, 1) .. ';', 'LIMIT', 0, ARGV[1])
    answer[n] = table.concat(found, '\0')
end
return answer
