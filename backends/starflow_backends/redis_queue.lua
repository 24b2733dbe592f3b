-- Sets the limits of a queue, or forgets it.
--
-- KEYS  queue, permits
-- ARGV  nothing to forget it; otherwise max and tokens_per, both '' for no bound,
--       period_us, burst, crc
--
-- Returns 1 if it was there, and 0 if not.

local queue, permits = unpack(KEYS)
local found = redis.call('HMGET', queue, 'crc', 'tokens_per', 'period_us', 'burst',
    'tokens', 'at_us')
local was_there = found[1] and 1 or 0
if #ARGV == 0 then
    redis.call('DEL', queue, permits)
    return was_there
end
local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local rate, burst = tonumber(ARGV[2]), tonumber(ARGV[4])
local tokens = rate and burst or 0
local old_rate, old_period_us = tonumber(found[2]), tonumber(found[3])
local old_burst, old_tokens = tonumber(found[4]), tonumber(found[5])
if rate and old_rate and old_period_us and old_burst and old_tokens then
    local come = math.max(0, now_us - (tonumber(found[6]) or now_us))
    local kept = math.min(old_burst, old_tokens + come * old_rate / old_period_us)
    tokens = math.min(burst, kept)
end
redis.call('HSET', queue, 'max', ARGV[1], 'tokens_per', ARGV[2], 'period_us', ARGV[3],
    'burst', ARGV[4], 'crc', ARGV[5], 'tokens', string.format('%.17g', tokens),
    'at_us', string.format('%.17g', now_us))
return was_there
