-- Marks a run whose log has lost its end, so that nobody continues it.
--
-- KEYS  partition, run
-- ARGV  epoch, the version that was acknowledged, the mark
--
-- Returns whether it is marked.  While the epoch is in force nobody else has appended,
-- so that a log which has the version has lost nothing.

local in_force = redis.call('HGET', KEYS[1], 'epoch') == ARGV[1]
local version = tonumber(redis.call('HGET', KEYS[2], 'version') or '0')
if in_force and version >= tonumber(ARGV[2]) then
    return 0
end
redis.call('HSET', KEYS[2], 'lost', ARGV[3])
return 1
