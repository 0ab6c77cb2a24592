#!lua flags=no-writes
-- Read rows of many minutes' tables, as one answer.
--
-- KEYS  the tables
-- ARGV  1 the row of each that is asked for; none: all rows of each
-- Returns a row, or a list of names and rows, for each table.

local found = {}
for i, key in ipairs(KEYS) do
    if ARGV[1] then
        found[i] = redis.call('HGET', key, ARGV[1])
    else
        found[i] = redis.call('HGETALL', key)
    end
end
return found
