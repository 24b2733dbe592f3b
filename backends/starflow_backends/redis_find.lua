-- Goes through the places of terms in one partition, the newest first.
--
-- KEYS  found
-- ARGV  the most places to return of each term, the most to look at, prefix of the run,
--       number of groups of other terms, each begun by its length; then, for each term
--       to go through: the term, the earliest place, and what the latest is before
--
-- Returns for each term: the places that have the prefix and one term of each group,
-- joined by zeros; the last place that was looked at; and whether there may be more.

local key = KEYS[1]
local wanted, looked, prefix = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]

local at = 4
local function take()
    at = at + 1
    return ARGV[at - 1]
end
local groups = {}
for g = 1, tonumber(take()) do
    groups[g] = {}
    for t = 1, tonumber(take()) do
        groups[g][t] = take()
    end
end

local function has_one(group, place)
    for _, term in ipairs(group) do
        if redis.call('ZSCORE', key, term .. ' ' .. place) then
            return true
        end
    end
    return false
end

local function is_wanted(place)
    -- The run comes after 16 digits and a space.
    if string.sub(place, 18, 17 + #prefix) ~= prefix then
        return false
    end
    for _, group in ipairs(groups) do
        if not has_one(group, place) then
            return false
        end
    end
    return true
end

local answer = {}
while at <= #ARGV do
    local term, low, high = take(), take(), take()
    local members = redis.call('ZREVRANGEBYLEX', key, '(' .. term .. ' ' .. high,
        '[' .. term .. ' ' .. low, 'LIMIT', 0, looked)
    local found, reached, has_more = {}, '', #members == looked
    for n, member in ipairs(members) do
        reached = string.sub(member, 18)
        if is_wanted(reached) then
            found[#found + 1] = reached
        end
        if #found == wanted then
            has_more = has_more or n < #members
            break
        end
    end
    answer[#answer + 1] = {table.concat(found, '\0'), reached, has_more and 1 or 0}
end
return answer
