-- Takes a partition.  Its epoch becomes another, `NUMBER-NONCE`, which refuses what the
-- owner before may still write.  The nonce makes it another even if Redis has lost the
-- last claims, and counts from the same number again.
--
-- KEYS  partition
-- ARGV  id of the store, owner, nonce, length of the lease in milliseconds, an owner
--       who is known to be dead
--
-- Returns {'ok', epoch, number of appends}, {'held', owner}, {'gone'}, or {'another'}.

local key = KEYS[1]
local store, claimant, nonce, lease_ms, dead = unpack(ARGV)

local found = redis.call('HMGET', key, 'store', 'epoch', 'owner', 'until_ms',
    'lease_ms', 'appends')
if not (found[1] and found[2] and found[6]) then
    return {'gone'}
elseif found[1] ~= store then
    return {'another'}
end

local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local function after(length_ms)
    return string.format('%d', now_ms + tonumber(length_ms))
end

local owner, until_ms = found[3], tonumber(found[4])
if owner ~= '' and owner ~= claimant and owner ~= dead and until_ms > now_ms then
    if until_ms > now_ms + tonumber(found[5]) then
        -- The clock went back, perhaps by hours, and nobody shall wait for it.
        redis.call('HSET', key, 'until_ms', after(found[5]))
    end
    return {'held', owner}
end
local number = tonumber(string.match(found[2], '^%d+')) + 1
local epoch = string.format('%d-%s', number, nonce)
redis.call('HSET', key, 'epoch', epoch, 'owner', claimant, 'lease_ms', lease_ms,
    'until_ms', after(lease_ms), 'claimed', found[6])
return {'ok', epoch, tonumber(found[6])}
