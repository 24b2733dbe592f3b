-- Carries out one append: checks everything first and writes last, for what a script
-- has written before it fails stays written.
--
-- KEYS  partition, runs, timers, run, log, found, tombstone, and the records of scripts
--       if there are some
-- ARGV  epoch, run, expected version, append id, phase, note, crc of the head, entry;
--       then four lists, each begun by its length: events (crc, event), timers (name,
--       value or ''), attempts (version, value or ''), scripts (hash, value)
--
-- Returns the number of appends of the partition, or {what is wrong, details}.

local partition, runs, timers, head, log, found, tombstone, scripts = unpack(KEYS)
local epoch, run, expected, append_id, phase, note, crc, entry = unpack(ARGV, 1, 8)

local owned = redis.call('HMGET', partition, 'epoch', 'owner', 'appends')
if owned[1] ~= epoch then
    return owned[1] and {'owner', owned[2] or ''} or {'gone', ''}
end
local before = redis.call('HMGET', head, 'append', 'version', 'phase', 'lost')
if before[1] == append_id then
    return tonumber(owned[3])
end

local at = 9
local function list()
    local first = at + 1
    at = first + 2 * tonumber(ARGV[at])
    return first, at - 1
end
local first_event, last_event = list()
local first_timer, last_timer = list()
local first_attempt, last_attempt = list()
local first_script, last_script = list()

if before[4] and (first_event <= last_event or phase ~= '3' or not before[2]) then
    return {'lost', before[4], before[2] or '0'}
end
if (before[2] or '0') ~= expected then
    return {'conflict', before[2] or '0'}
end
if not before[2] then
    for old = 0, 4 do
        if redis.call('ZSCORE', runs, old .. ':' .. run) then
            return {'corrupt', 'its keys are gone'}
        end
    end
    if redis.call('EXISTS', tombstone) == 1 then
        return {'deleted', ''}
    end
end
-- Without events a log with a hole is not continued, and its run can be parked.
if first_event <= last_event and redis.call('XLEN', log) ~= tonumber(expected) then
    return {'corrupt', 'events of its log are gone'}
end
-- They fail if the key is of another type.
redis.call('ZCARD', runs)
redis.call('ZCARD', timers)
if entry ~= '' then
    redis.call('ZCARD', found)
end
if first_script <= last_script then
    redis.call('HLEN', scripts)
end

-- The first write is one that Redis refuses when it is out of memory, and then none of
-- the others is refused.
local version = tonumber(expected)
for n = first_event, last_event, 2 do
    version = version + 1
    redis.call('XADD', log, '0-' .. version, 'crc', ARGV[n], 'event', ARGV[n + 1])
end
redis.call('HSET', head, 'version', version, 'phase', phase, 'append', append_id,
    'note', note, 'crc', crc)
if before[4] then
    -- From here on its note tells.
    redis.call('HDEL', head, 'lost')
end
if before[3] ~= phase then
    if before[3] then
        redis.call('ZREM', runs, before[3] .. ':' .. run)
    else
        redis.call('HINCRBY', partition, 'runs', 1)
    end
    redis.call('ZADD', runs, 0, phase .. ':' .. run)
end
if entry ~= '' then
    local function places(value)
        local set = {}
        for place in string.gmatch(string.match(value, '^........([^\n]*)') or '', '[^,]+') do
            set[place .. ' ' .. run] = true
        end
        return set
    end
    local new, old = places(entry), places(redis.call('HGET', head, 'entry') or '')
    for member in pairs(old) do
        if not new[member] then
            redis.call('ZREM', found, member)
        end
    end
    for member in pairs(new) do
        if not old[member] then
            redis.call('ZADD', found, 0, member)
        end
    end
    redis.call('HSET', head, 'entry', entry)
end
for n = first_timer, last_timer, 2 do
    local field, value = 'timer:' .. ARGV[n], ARGV[n + 1]
    local member = ' ' .. run .. '\0' .. ARGV[n]
    local old = redis.call('HGET', head, field)
    if old then
        redis.call('ZREM', timers, old .. member)
    end
    if value ~= '' then
        redis.call('HSET', head, field, value)
        redis.call('ZADD', timers, 0, value .. member)
    elseif old then
        redis.call('HDEL', head, field)
    end
end
for n = first_attempt, last_attempt, 2 do
    local field, value = 'attempt:' .. ARGV[n], ARGV[n + 1]
    if value ~= '' then
        redis.call('HSET', head, field, value)
    else
        redis.call('HDEL', head, field)
    end
end
for n = first_script, last_script, 2 do
    redis.call('HSETNX', scripts, ARGV[n], ARGV[n + 1])
end
return redis.call('HINCRBY', partition, 'appends', 1)
