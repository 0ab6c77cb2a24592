#!lua
-- Add to the series of Prometheus.
--
-- KEYS  1 counters
-- ARGV  1 msgpack: {row, {code = number}} each; a row is the labels of a series
--       2 most rows  3 the row of all others  4 now, in unix seconds
--       5 seconds the counters live after the last addition

local call, most = redis.call, tonumber(ARGV[2])
local added = cmsgpack.unpack(ARGV[1])

local function add_to(numbers, more)
    for code, number in pairs(more) do
        -- The newest trace replaces the one before.
        numbers[code] = code == 'x' and number or (numbers[code] or 0) + number
    end
    numbers.at = tonumber(ARGV[4])
    return numbers
end

for _, one in ipairs(added) do
    local row = one[1]
    local stored = call('HGET', KEYS[1], row)
    if not stored and call('HLEN', KEYS[1]) >= most then
        -- For as long as the others are: a series that returns stays among them.
        row = ARGV[3]
        stored = call('HGET', KEYS[1], row)
    end
    local numbers = add_to(stored and cmsgpack.unpack(stored) or {}, one[2])
    call('HSET', KEYS[1], row, cmsgpack.pack(numbers))
end
call('EXPIRE', KEYS[1], ARGV[5])
