-- Carries out one change of the permits of a queue: see permits.py, which does the same.
--
-- KEYS  queue, permits
-- ARGV  how long permits last and the longest that any lasts, in microseconds;
--       then four lists of holders, each begun by its length: ended, unused, kept, wanted
--
-- Returns nothing if the queue was never set; otherwise how many of the wanted have a
-- permit, how many permits there are, and the fields of the queue, with its tokens as
-- they are now.

local queue, permits = unpack(KEYS)
local found = redis.call('HMGET', queue, 'max', 'tokens_per', 'period_us', 'burst',
    'crc', 'tokens', 'at_us')
if not found[5] then
    return {}
end
local time = redis.call('TIME')
local now_us = tonumber(time[1]) * 1000000 + tonumber(time[2])
local function exactly(number)
    return string.format('%.17g', number)
end
local until_us = exactly(now_us + tonumber(ARGV[1]))
local longest_us = exactly(now_us + tonumber(ARGV[2]))

local at = 3
local function list()
    local first = at + 1
    at = first + tonumber(ARGV[at])
    return first, at - 1
end
local first_ended, last_ended = list()
local first_unused, last_unused = list()
local first_kept, last_kept = list()
local first_wanted, last_wanted = list()

local max = tonumber(found[1])
local rate = tonumber(found[2])
local burst = tonumber(found[4])
local before = tonumber(found[6]) or 0
local tokens = 0
if rate then
    local come = math.max(0, now_us - (tonumber(found[7]) or now_us))
    before = math.min(burst, before + come * rate / tonumber(found[3]))
    tokens = before
end

redis.call('ZREMRANGEBYSCORE', permits, '-inf', exactly(now_us))
for _, holder in ipairs(redis.call('ZRANGEBYSCORE', permits, '(' .. longest_us, '+inf')) do
    redis.call('ZADD', permits, longest_us, holder)
end
for n = first_ended, last_ended do
    redis.call('ZREM', permits, ARGV[n])
end
for n = first_unused, last_unused do
    if redis.call('ZREM', permits, ARGV[n]) == 1 and rate then
        tokens = math.min(burst, tokens + 1)
    end
end
for n = first_kept, last_kept do
    redis.call('ZADD', permits, until_us, ARGV[n])
end
local in_flight = redis.call('ZCARD', permits)
local granted = 0
for n = first_wanted, last_wanted do
    if not redis.call('ZSCORE', permits, ARGV[n]) then
        if max and in_flight >= max or rate and tokens < 1 then
            break
        end
        tokens = tokens - (rate and 1 or 0)
        in_flight = in_flight + 1
    end
    redis.call('ZADD', permits, until_us, ARGV[n])
    granted = granted + 1
end
if tokens ~= before then
    redis.call('HSET', queue, 'tokens', exactly(tokens), 'at_us', exactly(now_us))
end
return {granted, in_flight, found[1], found[2], found[3], found[4], found[5],
    exactly(tokens)}
