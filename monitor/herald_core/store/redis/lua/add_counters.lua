#!lua
-- Add to the series of Prometheus.
--
-- KEYS  1 counters
-- ARGV  1 msgpack: {row, {code = number}} each; a row is the labels of a series, and
--         is there once
--       2 most rows  3 the row of all others  4 now, in unix seconds
--       5 seconds the counters live after the last addition

local call, OTHER = redis.call, ARGV[3]
local MOST_WORDS = 4000 -- Lua's stack ends at 8000 words
local added = cmsgpack.unpack(ARGV[1])
local room = tonumber(ARGV[2]) - call('HLEN', KEYS[1])

local function add_to(numbers, more)
    for code, number in pairs(more) do
        -- The newest trace replaces the one before.
        numbers[code] = code == 'x' and number or (numbers[code] or 0) + number
    end
    numbers.at = tonumber(ARGV[4])
    return numbers
end

local function read(stored)
    return stored and cmsgpack.unpack(stored) or {}
end

-- Whether a row is counted apart, from now on if there is room. One that is not stays
-- among the others for as long as they are there.
local function is_apart(row, stored)
    if row == OTHER then return false end
    if stored then return true end
    room = room - 1
    return room >= 0
end

-- One look at all of them, and one write: of the others too, however many they are.
local words, others = {}, nil
for from = 1, #added, MOST_WORDS do
    local to, rows = math.min(from + MOST_WORDS - 1, #added), {}
    for at = from, to do rows[#rows + 1] = added[at][1] end
    for i, stored in ipairs(call('HMGET', KEYS[1], unpack(rows))) do
        local more = added[from + i - 1][2]
        if is_apart(rows[i], stored) then
            words[#words + 1] = rows[i]
            words[#words + 1] = cmsgpack.pack(add_to(read(stored), more))
        else
            others = add_to(others or read(call('HGET', KEYS[1], OTHER)), more)
        end
    end
end
if others then
    words[#words + 1] = OTHER
    words[#words + 1] = cmsgpack.pack(others)
end
for from = 1, #words, MOST_WORDS do
    local to = math.min(from + MOST_WORDS - 1, #words)
    call('HSET', KEYS[1], unpack(words, from, to))
end
call('EXPIRE', KEYS[1], ARGV[5])
