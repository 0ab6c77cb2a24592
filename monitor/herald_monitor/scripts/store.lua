#!lua
-- Store records, their indexes and the news of them in one step, or nothing.
--
-- The first line makes Redis refuse the whole script before its first write when
-- memory is full; for forgetting, redis_script.py adds a flag there that allows it.
--
-- KEYS  1 meta  2 log  3 marks  4 due  5 gone
--       then one key a record, then one key an index
-- ARGV  1 most entries in the log       2 most bytes in the log
--       3 seconds the log lives         4 seconds an index lives
--       5 bookmark: "-" for none; otherwise an entry without changes is
--         appended if the log still ends here ("" appends it anyway)
--       6 number of records             7 number of indexes
--       8 most ids in `gone`
--       9 msgpack: for each index {records to add, records to remove}
--       then seven words a record:
--         head   `REV FIRST` that the stored record must begin with, "" if there
--                must be none
--         body   what is stored behind the new head; "" forgets the record
--         ttl    seconds
--         field  the change as it lies in the log
--         id     member of the indexes
--         first  score in the indexes
--         due    score in `due` (or in `gone` if forgotten); "" for neither
--       then further commands: number of words, the words, ...
-- Returns {end of the log, "1" if it opened an epoch, refused record numbers...}

local call = redis.call
local META, LOG, MARKS, DUE, GONE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local RECORDS, INDEXES = tonumber(ARGV[6]), tonumber(ARGV[7])
local CHUNK = 4000 -- Lua's stack ends at 8000 words
local WORDS = 7

-- Where the words of a record lie: ARGV[number * WORDS + HEAD], and so on.
local HEAD, BODY, TTL, FIELD, ID, FIRST, AT = 3, 4, 5, 6, 7, 8, 9

-- 1. Compare: a record that somebody else changed is left out.
local kept, rank, refused, fields, size = {}, {}, {}, {}, 0
for number = 1, RECORDS do
    local from = number * WORDS
    local head = ARGV[from + HEAD]
    local stored = call('GETRANGE', KEYS[5 + number], 0, #head)
    if stored == (head == '' and '' or head .. '\n') then
        kept[#kept + 1] = number
        rank[number] = #kept - 1
        local field = ARGV[from + FIELD]
        fields[#fields + 1] = tostring(#kept - 1)
        fields[#fields + 1] = field
        size = size + #field
    else
        refused[#refused + 1] = number
    end
end

-- 2. The epoch: another history must not look like this one.
local replid = string.match(call('INFO', 'replication'), 'master_replid:(%w+)')
local meta = call('HMGET', META, 'epoch', 'replid', 'end', 'bytes')
local epoch, last, bytes = meta[1], meta[3] or '', tonumber(meta[4] or '0')
local opened = not epoch or meta[2] ~= replid or call('EXISTS', LOG) == 0
local bookmark = ARGV[5] ~= '-' and (opened or ARGV[5] == '' or ARGV[5] == last)

local function open_epoch()
    local time = call('TIME')
    local at = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
    if epoch then at = math.max(at, tonumber(epoch) + 1) end
    if call('EXISTS', LOG) == 1 then
        local about = call('XINFO', 'STREAM', LOG)
        for i = 1, #about, 2 do
            if about[i] == 'last-generated-id' then
                at = math.max(at, tonumber(string.match(about[i + 1], '^%d+')) + 1)
            end
        end
    else
        bytes = 0
        call('DEL', MARKS)
    end
    epoch = string.format('%.0f', at)
end

-- 3. The news, as one entry. Redis numbers it: dense within the epoch.
if #kept == 0 and bookmark then
    fields = {'-', ''}
end
if #fields > 0 then
    if opened then open_epoch() end
    last = call('XADD', LOG, 'MAXLEN', '~', ARGV[1], epoch .. '-*', unpack(fields))
    local step = math.max(math.floor(tonumber(ARGV[2]) / 16), 1)
    local before = math.floor(bytes / step)
    bytes = bytes + size
    call('HSET', META, 'epoch', epoch, 'replid', replid, 'end', last,
        'bytes', string.format('%.0f', bytes))
    if math.floor(bytes / step) > before then
        -- Length alone would not bound memory: an entry may hold 1 or 250 changes.
        call('ZADD', MARKS, string.format('%.0f', bytes), last)
        local over = string.format('%.0f', bytes - tonumber(ARGV[2]))
        local mark = call('ZREVRANGEBYSCORE', MARKS, over, '-inf', 'LIMIT', 0, 1)[1]
        if mark then
            call('XTRIM', LOG, 'MINID', '~', mark)
            call('ZREMRANGEBYSCORE', MARKS, '-inf', over)
        end
    end
    call('EXPIRE', LOG, ARGV[3])
    call('EXPIRE', META, ARGV[3])
    call('EXPIRE', MARKS, ARGV[3])
end

-- 4. The records.
local due, done, gone = {}, {}, {}
for _, number in ipairs(kept) do
    local from = number * WORDS
    local body, at, id = ARGV[from + BODY], ARGV[from + AT], ARGV[from + ID]
    local key = KEYS[5 + number]
    if body == '' then
        call('DEL', key)
    else
        local head = last .. '.' .. rank[number] .. ' ' .. ARGV[from + FIRST]
        call('SET', key, head .. '\n' .. body, 'EX', ARGV[from + TTL])
    end
    if at ~= '' then
        local list = body == '' and gone or due
        list[#list + 1] = at
        list[#list + 1] = id
        if body == '' then done[#done + 1] = id end
    end
end

-- 5. The indexes.
local function each(command, key, list)
    for from = 1, #list, CHUNK do
        call(command, key, unpack(list, from, math.min(from + CHUNK - 1, #list)))
    end
end

local moves = cmsgpack.unpack(ARGV[9])
for i = 1, INDEXES do
    local key, adds, removes = KEYS[5 + RECORDS + i], {}, {}
    for _, number in ipairs(moves[i][1]) do
        if rank[number] then
            adds[#adds + 1] = ARGV[number * WORDS + FIRST]
            adds[#adds + 1] = ARGV[number * WORDS + ID]
        end
    end
    for _, number in ipairs(moves[i][2]) do
        if rank[number] then
            removes[#removes + 1] = ARGV[number * WORDS + ID]
        end
    end
    each('ZREM', key, removes)
    each('ZADD', key, adds)
    call('EXPIRE', key, ARGV[4])
end

each('ZREM', DUE, done)
each('ZADD', DUE, due)
if #due > 0 then call('EXPIRE', DUE, ARGV[4]) end
if #gone > 0 then
    each('ZADD', GONE, gone)
    call('ZREMRANGEBYRANK', GONE, 0, -1 - tonumber(ARGV[8]))
    call('EXPIRE', GONE, ARGV[4])
end

-- 6. Whatever else belongs to it.
local at = 10 + RECORDS * WORDS
while at <= #ARGV do
    local words = tonumber(ARGV[at])
    call(unpack(ARGV, at + 1, at + words))
    at = at + 1 + words
end

return {last, opened and #fields > 0 and '1' or '', unpack(refused)}
