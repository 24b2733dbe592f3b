-- Renews the leases of partitions, or ends them.
--
-- KEYS  partitions
-- ARGV  id of the store, length of the lease in milliseconds or 0 to end it; then the
--       epoch of each
--
-- Returns for each {'ok', number of appends, ''}; or, of one that has another epoch,
-- {'lost', number of appends when that began, owner}: -1 if it is an earlier one, since
-- then Redis has lost the claim that is asked about; or {'gone'} or {'another'}.

local store, lease_ms = ARGV[1], tonumber(ARGV[2])
local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local until_ms = string.format('%d', now_ms + lease_ms)

local function number(epoch)
    return tonumber(string.match(epoch, '^%d+'))
end

local answer = {}
for n, key in ipairs(KEYS) do
    local epoch = ARGV[n + 2]
    local found = redis.call('HMGET', key, 'store', 'epoch', 'owner', 'appends', 'claimed')
    if not (found[1] and found[2] and found[4]) then
        answer[n] = {'gone', 0, ''}
    elseif found[1] ~= store then
        answer[n] = {'another', 0, ''}
    elseif found[2] ~= epoch then
        local is_later = number(found[2]) >= number(epoch)
        answer[n] = {'lost', is_later and tonumber(found[5]) or -1, found[3]}
    else
        answer[n] = {'ok', tonumber(found[4]), ''}
        redis.call('HSET', key, 'until_ms', until_ms)
        if lease_ms == 0 then
            -- Nobody has this epoch: what is still on its way is refused.
            redis.call('HSET', key, 'owner', '', 'epoch', number(epoch) .. '-')
        end
    end
end
return answer
