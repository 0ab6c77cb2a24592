#!lua
-- Find tasks whose time is over, in the segments in which it may be for some.
--
-- A segment in which nobody's is gets the time of the first whose will be. That
-- must be one step with looking: a task that ends is due earlier than before.
--
-- KEYS  1 due
-- ARGV  1 how keys of segments begin    2 how keys of tasks begin
--       3 now, in ms                    4 most segments
-- Returns {segments looked through, number, id, "" or "astray", ...}; a number goes astray if the task that
-- had it ran out before any sweep and was then stored anew.

local call = redis.call
local SEGMENT = 128
local now = tonumber(ARGV[3])

local over = call('ZRANGEBYSCORE', KEYS[1], '-inf', ARGV[3], 'LIMIT', 0, ARGV[4])
local found = {#over}
for _, segment in ipairs(over) do
    local ids, found_here, next_due = call('HGETALL', ARGV[1] .. segment), false, nil
    for i = 1, #ids, 2 do
        local number = tonumber(segment) * SEGMENT + tonumber(ids[i])
        number = string.format('%.0f', number)
        local head = call('GETRANGE', ARGV[2] .. ids[i + 1], 0, 100)
        local own, due = string.match(head, '^%S+ (%S+) %S+ (%d+)\n')
        local at = tonumber(due)
        if head == '' or (at and (at <= now or own ~= number)) then
            found[#found + 1] = number
            found[#found + 1] = ids[i + 1]
            found[#found + 1] = at and own ~= number and 'astray' or ''
            found_here = true
        elseif at and (not next_due or at < next_due) then
            next_due = at
        end
    end
    if not found_here then
        if next_due then
            call('ZADD', KEYS[1], string.format('%.0f', next_due), segment)
        else
            call('ZREM', KEYS[1], segment)
        end
    end
end
return found
