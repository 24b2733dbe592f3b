-- Reads the index of a run.
--
-- KEYS  runs, run, log
-- ARGV  run
--
-- Returns its fields and values, nothing for a run that was never there, and one string
-- for one that lost its keys.

local runs, head, log = unpack(KEYS)
local found = redis.call('HGETALL', head)
if #found > 0 then
    return found
end
if redis.call('EXISTS', log) == 1 then
    return 'its index is gone'
end
for phase = 0, 4 do
    if redis.call('ZSCORE', runs, phase .. ':' .. ARGV[1]) then
        return 'its keys are gone'
    end
end
return found
