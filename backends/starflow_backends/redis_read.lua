-- Reads a part of a log as two strings, however many events it has: to parse an answer
-- of thousands of pieces takes longer than to read it.
--
-- KEYS  log
-- ARGV  first version, last version, the most events
--
-- Returns `ID CRC LENGTH` of each event, and the events.

local places, events = {}, {}
local found = redis.call('XRANGE', KEYS[1], '0-' .. ARGV[1], '0-' .. ARGV[2],
    'COUNT', ARGV[3])
for _, entry in ipairs(found) do
    local fields = entry[2]
    local event = fields[4] or ''
    places[#places + 1] = entry[1]
    places[#places + 1] = fields[2] ~= '' and fields[2] or '-'
    places[#places + 1] = #event
    events[#events + 1] = event
end
return {table.concat(places, ' '), table.concat(events)}
