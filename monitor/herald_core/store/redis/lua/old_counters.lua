#!lua
-- Delete the series of Prometheus that have had no event for long.
--
-- KEYS  1 counters
-- ARGV  1 the time of the newest event, in unix seconds, before which a series goes
-- Returns how many were deleted.

local deleted, found = 0, redis.call('HGETALL', KEYS[1])
for i = 1, #found, 2 do
    if cmsgpack.unpack(found[i + 1]).at < tonumber(ARGV[1]) then
        deleted = deleted + redis.call('HDEL', KEYS[1], found[i])
    end
end
return deleted
