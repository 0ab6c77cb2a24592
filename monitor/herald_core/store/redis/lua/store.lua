#!lua
-- Store records, their indexes and the news of them in one step, or nothing.
--
-- The first line makes Redis refuse the whole script before its first write when
-- memory is full; for forgetting, redis_script.py adds a flag there that allows it.
-- model/numbers.py says what the number of a task, a chunk and a segment are.
--
-- KEYS  1 meta  2 log  3 marks  4 due  5 gone  6 seq  7 chunks  8 counts
--       then the minutes' tables
-- ARGV  1 most entries in the log       2 most bytes in the log
--       3 seconds the log lives         4 seconds an index lives
--       5 bookmark: "-" for none; otherwise an entry without changes is
--         appended if the log still ends here ("" appends it anyway)
--       6 number of records             7 how keys of segments begin
--       8 most ids in `gone`
--       9 msgpack: {maps, listings, indexes, bounded}, places that records enter and
--         leave:
--         a map is {state to be counted or "", key before the chunk, key behind it,
--         records to add, records to remove, chunks where others stay, place in
--         bounded or 0, value};
--         a listing is {key, records to add, records to remove, chunks where others
--         stay, place in bounded or 0, value};
--         an index is {key, record to add, score, ..., } {records to remove};
--         bounded is {key of the values that are indexed apart, key of the others,
--         most values, values that records enter}
--      10 most rows in a minute's table    11 name of the row for all others
--      12 seconds a minute's table lives after it was last added to
--      13 msgpack: what the records add to the minutes together:
--         {number of the table, row, {code = number}} each
--      14 msgpack: {cells, shares}, to take the refused out again; a cell is a
--         list of {place in 13, code}, a record's share a list of {cell, number}
--      15 now, in ms
--      16 msgpack: six words a record, in one list:
--         rev     that the stored record must begin with, "" if there must be none
--         number  of the task; -1 for a new task, -2 for what is none
--         kind    how its key begins
--         id      of the record, the rest of its key
--         ttl     seconds
--         due     when the task runs out (or was forgotten), in ms; "" for neither
--       then two words a record:
--         field   the change as it lies in the log; "" to announce nothing
--         body    what is stored behind rev and number; "" forgets the record
--       then further commands: number of words, the words, ...
-- Returns {end of the log, "1" if it opened an epoch, number of the first new task,
--          refused record numbers...}

local call, floor, format = redis.call, math.floor, string.format
local META, LOG, MARKS, DUE, GONE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local SEQ, CHUNKS, COUNTS = KEYS[6], KEYS[7], KEYS[8]
local RECORDS, LIFE, NOW = tonumber(ARGV[6]), ARGV[4], ARGV[15]
local CHUNK, SEGMENT = 4096, 128
local MOST_WORDS = 4000 -- Lua's stack ends at 8000 words

-- Where the words of a record lie: about[(number - 1) * WORDS + REV], and so on.
-- Few words of many bytes: Redis makes several objects of each.
local about = cmsgpack.unpack(ARGV[16])
local WORDS, REV, NUMBER, KIND, ID, TTL, AT = 6, 1, 2, 3, 4, 5, 6
local FIELD, BODY = 15, 16 -- ARGV[number * 2 + FIELD]

-- 1. Compare: a record that somebody else changed is left out.
local kept, rank, refused, fields, size = {}, {}, {}, {}, 0
local keys, new = {}, {}
for number = 1, RECORDS do
    local from = (number - 1) * WORDS
    keys[number] = about[from + KIND] .. about[from + ID]
    if about[from + REV] == '' then new[#new + 1] = keys[number] end
end

-- Under load nearly all are new, and none of them is there: one look at all of them.
local all_new = #new == 0 or call('EXISTS', unpack(new)) == 0
for number = 1, RECORDS do
    local rev, same = about[(number - 1) * WORDS + REV], all_new
    if rev ~= '' then
        same = call('GETRANGE', keys[number], 0, #rev) == rev .. ' '
    elseif not all_new then
        same = call('EXISTS', keys[number]) == 0
    end
    if same then
        kept[#kept + 1] = number
        local field = ARGV[number * 2 + FIELD]
        if field ~= '' then
            rank[number] = #fields / 2
            fields[#fields + 1] = rank[number]
            fields[#fields + 1] = field
            size = size + #field
        end
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
    local at = tonumber(time[1]) * 1000 + floor(tonumber(time[2]) / 1000)
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
    epoch = format('%.0f', at)
end

-- 3. The news, as one entry. Redis numbers it: dense within the epoch.
if #fields == 0 and bookmark then
    fields = {'-', ''}
end
if #fields > 0 then
    if opened then open_epoch() end
    last = call('XADD', LOG, 'MAXLEN', '~', ARGV[1], epoch .. '-*', unpack(fields))
    local step = math.max(floor(tonumber(ARGV[2]) / 16), 1)
    local before = floor(bytes / step)
    bytes = bytes + size
    call('HSET', META, 'epoch', epoch, 'replid', replid, 'end', last,
        'bytes', format('%.0f', bytes))
    if floor(bytes / step) > before then
        -- Length alone would not bound memory: an entry may hold 1 or 250 changes.
        call('ZADD', MARKS, format('%.0f', bytes), last)
        local over = format('%.0f', bytes - tonumber(ARGV[2]))
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

-- 4. Numbers for new tasks: dense, in the order in which they are told.
local own, fresh, first = {}, {}, 0

-- Note that tasks of a chunk or segment were first heard of now.
local function widen(key, part)
    local from, to = string.match(call('HGET', key, part) or '', '(%d+) (%d+)')
    if not from or tonumber(NOW) < tonumber(from) then from = NOW end
    if not to or tonumber(NOW) > tonumber(to) then to = NOW end
    call('HSET', key, part, from .. ' ' .. to)
end

for _, number in ipairs(kept) do
    local known = about[(number - 1) * WORDS + NUMBER]
    if known == -1 then
        fresh[#fresh + 1] = number
    elseif known >= 0 then
        own[number] = known
    end
end
if #fresh > 0 then
    first = call('INCRBY', SEQ, #fresh) - #fresh
    for i, number in ipairs(fresh) do own[number] = first + i - 1 end
    for chunk = floor(first / CHUNK), floor((first + #fresh - 1) / CHUNK) do
        widen(CHUNKS, chunk)
    end
    for segment = floor(first / SEGMENT), floor((first + #fresh - 1) / SEGMENT) do
        local key = CHUNKS .. ':' .. floor(segment * SEGMENT / CHUNK)
        widen(key, segment)
        call('EXPIRE', key, LIFE)
    end
end
if #kept > 0 then
    call('EXPIRE', SEQ, LIFE)
    call('EXPIRE', CHUNKS, LIFE)
end

-- 5. The records, and what lies in each segment.
local segments, gone = {}, {}

local function segment_of(task)
    local segment = floor(task / SEGMENT)
    local found = segments[segment]
    if not found then
        found = {ids = {}, done = {}}
        segments[segment] = found
    end
    return found, task - segment * SEGMENT
end

local function quiet_rev(rev)
    local shown, times = string.match(rev, '^(.-)%+(%d+)$')
    return (shown or rev) .. '+' .. format('%d', (times or 0) + 1)
end

for _, number in ipairs(kept) do
    local from, task = (number - 1) * WORDS, own[number]
    local body, at = ARGV[number * 2 + BODY], about[from + AT]
    if task then
        local segment, place = segment_of(task)
        if body == '' then
            segment.done[#segment.done + 1] = place
        else
            if about[from + NUMBER] == -1 then
                segment.ids[#segment.ids + 1] = place
                segment.ids[#segment.ids + 1] = about[from + ID]
            end
            if segment.at ~= at and (not segment.at or tonumber(at) < segment.due) then
                segment.due, segment.at = tonumber(at), at
            end
        end
    end
    if body == '' then
        call('DEL', keys[number])
        if at ~= '' then
            gone[#gone + 1] = at
            gone[#gone + 1] = about[from + ID]
        end
    else
        local rev = rank[number] and last .. '.' .. rank[number]
            or quiet_rev(about[from + REV])
        local stored = rev .. ' ' .. (task or '-') .. ' ' .. body
        call('SET', keys[number], stored, 'EX', about[from + TTL])
    end
end

local function each(command, key, list)
    for from = 1, #list, MOST_WORDS do
        call(command, key, unpack(list, from, math.min(from + MOST_WORDS - 1, #list)))
    end
end

local function drop_empty(segment)
    local chunk = floor(segment * SEGMENT / CHUNK)
    local from = chunk * CHUNK / SEGMENT
    for other = from, from + CHUNK / SEGMENT - 1 do
        if call('EXISTS', ARGV[7] .. other) == 1 then return end
    end
    call('HDEL', CHUNKS, chunk)
    call('DEL', CHUNKS .. ':' .. chunk)
end

for segment, found in pairs(segments) do
    local key = ARGV[7] .. segment
    if #found.ids > 0 then call('HSET', key, unpack(found.ids)) end
    if found.at then call('ZADD', DUE, 'LT', found.at, segment) end
    if #found.done > 0 then call('HDEL', key, unpack(found.done)) end
    if call('EXPIRE', key, LIFE) == 0 then
        call('ZREM', DUE, segment)
        drop_empty(segment)
    end
end
call('EXPIRE', DUE, LIFE)
if #gone > 0 then
    each('ZADD', GONE, gone)
    call('ZREMRANGEBYRANK', GONE, 0, -1 - tonumber(ARGV[8]))
    call('EXPIRE', GONE, LIFE)
end

-- 6. The indexes.
local moves = cmsgpack.unpack(ARGV[9])

-- Bits are written by words of 32: tasks of one time lie side by side. A mask is
-- the sum of its bits, each of which is in it once.
local WORD, BYTES = 32, 4
local WORDS_OF_CHUNK = CHUNK / WORD
local BIT = {}
for i = 0, WORD - 1 do BIT[i] = 2 ^ (WORD - 1 - i) end

-- Where the bit of a record's task lies; most records enter several places.
local chunk_of, word_of, bit_of = {}, {}, {}
for number, task in pairs(own) do
    local word = floor(task / WORD)
    chunk_of[number] = floor(word / WORDS_OF_CHUNK)
    word_of[number] = word % WORDS_OF_CHUNK
    bit_of[number] = BIT[task % WORD]
end

-- Add up by chunk, and there by word, the bits of these records.
local function gather(list, chunks, sign)
    for _, number in ipairs(list) do
        local chunk = chunk_of[number]
        if chunk then
            local masks = chunks[chunk]
            if not masks then
                masks = {[1] = {}, [-1] = {}, words = {}}
                chunks[chunk] = masks
            end
            local word, mask = word_of[number], masks[sign]
            if not mask[word] then
                masks.words[#masks.words + 1] = word
                masks[1][word], masks[-1][word] = 0, 0
            end
            mask[word] = mask[word] + bit_of[number]
        end
    end
end

local function set_in(word)
    local count = 0
    while word ~= 0 do
        word = bit.band(word, word - 1)
        count = count + 1
    end
    return count
end

-- Change the bits under a key; return how many more of them are set than before, and
-- whether the last of them was taken away.
local function change(key, masks, counted)
    local least, most = masks.words[1], masks.words[1]
    for _, word in ipairs(masks.words) do
        least, most = math.min(least, word), math.max(most, word)
    end
    local size, more, left = BYTES * (most - least + 1), 0, true
    local stored = call('GETRANGE', key, BYTES * least, BYTES * most + BYTES - 1)
    local shape = '>' .. string.rep('I' .. BYTES, most - least + 1)
    local words = {struct.unpack(shape, stored .. string.rep('\0', size - #stored))}
    words[#words] = nil -- where it ended
    for _, word in ipairs(masks.words) do
        local before = words[word - least + 1]
        local after = bit.bor(bit.band(before, bit.bnot(masks[-1][word])), masks[1][word])
        if counted then more = more + set_in(after) - set_in(before) end
        words[word - least + 1] = after
        left = left and after == 0
    end
    if left and stored == '' then return 0, false end
    call('SETRANGE', key, BYTES * least, struct.pack(shape, unpack(words)))
    if left and call('BITPOS', key, 1) == -1 then
        call('DEL', key)
        return more, true
    end
    call('EXPIRE', key, LIFE)
    return more, false
end

-- Of a bounded key only so many values are indexed apart. Records of others enter
-- one sorted set a chunk, as VALUE\0PLACE, and stay there if theirs is apart later.
local apart, room, others = {}, {}, {}
for at, bounded in ipairs(moves[4]) do
    local values = bounded[4]
    apart[at], others[at] = {}, call('EXISTS', bounded[2]) == 1
    for from = 1, #values, MOST_WORDS do
        local to = math.min(from + MOST_WORDS - 1, #values)
        local scores = call('ZMSCORE', bounded[1], unpack(values, from, to))
        for i, score in ipairs(scores) do
            if score then apart[at][values[from + i - 1]] = true end
        end
    end
end

local function has_kept(list)
    for _, number in ipairs(list) do
        if own[number] then return true end
    end
    return false
end

-- Whether the value that records enter is indexed apart, from now on if there is room.
local function is_apart(at, value, list)
    if at == 0 or apart[at][value] or not has_kept(list) then return true end
    local bounded = moves[4][at]
    room[at] = room[at] or bounded[3] - call('ZCARD', bounded[1])
    if room[at] <= 0 then return false end
    room[at] = room[at] - 1
    apart[at][value] = true
    call('ZADD', bounded[1], tonumber(NOW) / 1000, value)
    call('EXPIRE', bounded[1], LIFE)
    return true
end

-- Make room: no record has the value any more.
local function give_up(at, value)
    if call('ZREM', moves[4][at][1], value) == 1 then
        apart[at][value] = nil
        if room[at] then room[at] = room[at] + 1 end
    end
end

local function among_others(at, value, list, scored)
    local members = {}
    for _, number in ipairs(list) do
        local task = own[number]
        if task then
            local chunk = floor(task / CHUNK)
            local found = members[chunk] or {}
            members[chunk] = found
            if scored then found[#found + 1] = 0 end
            found[#found + 1] = value .. '\0' .. format('%d', task % CHUNK)
        end
    end
    return members
end

local function enter_others(at, value, list)
    local key = moves[4][at][2]
    for chunk, members in pairs(among_others(at, value, list, true)) do
        each('ZADD', key .. ':' .. chunk, members)
        call('EXPIRE', key .. ':' .. chunk, LIFE)
        call('SADD', key, chunk)
        call('EXPIRE', key, LIFE)
        others[at] = true
    end
end

local function leave_others(at, value, list)
    if at == 0 or not others[at] then return end
    local key = moves[4][at][2]
    for chunk, members in pairs(among_others(at, value, list, false)) do
        each('ZREM', key .. ':' .. chunk, members)
        if call('EXISTS', key .. ':' .. chunk) == 0 then call('SREM', key, chunk) end
    end
end

-- Let the others live as long as those that stay.
local function stay_with_others(at, chunks)
    if at == 0 or not others[at] then return end
    local key = moves[4][at][2]
    call('EXPIRE', key, LIFE)
    for _, chunk in ipairs(chunks) do call('EXPIRE', key .. ':' .. chunk, LIFE) end
end

-- Whether no chunk has bits of a map.
local function is_empty(map)
    local keys = call('HKEYS', CHUNKS)
    for i, chunk in ipairs(keys) do keys[i] = map[2] .. chunk .. map[3] end
    for from = 1, #keys, MOST_WORDS do
        local to = math.min(from + MOST_WORDS - 1, #keys)
        if call('EXISTS', unpack(keys, from, to)) > 0 then return false end
    end
    return true
end

local function change_map(map)
    local counted, at, value = map[1] ~= '', map[7], map[8]
    local chunks, more, emptied = {}, 0, false
    if #map[4] == 0 or is_apart(at, value, map[4]) then
        gather(map[4], chunks, 1)
    else
        enter_others(at, value, map[4])
    end
    gather(map[5], chunks, -1)
    for chunk, masks in pairs(chunks) do
        local set, left = change(map[2] .. chunk .. map[3], masks, counted)
        more, emptied = more + set, emptied or left
    end
    leave_others(at, value, map[5])
    for _, chunk in ipairs(map[6]) do
        if not chunks[chunk] then call('EXPIRE', map[2] .. chunk .. map[3], LIFE) end
    end
    stay_with_others(at, map[6])
    if more ~= 0 then call('HINCRBY', COUNTS, map[1], more) end
    if emptied and at > 0 and is_empty(map) then give_up(at, value) end
end

for _, map in ipairs(moves[1]) do change_map(map) end
call('EXPIRE', COUNTS, LIFE)

local function tasks_in(list, scored)
    local words = {}
    for _, number in ipairs(list) do
        if own[number] then
            words[#words + 1] = own[number]
            if scored then words[#words + 1] = own[number] end
        end
    end
    return words
end

local function change_listing(listing)
    local key, at, value = listing[1], listing[5], listing[6]
    each('ZREM', key, tasks_in(listing[3], false))
    leave_others(at, value, listing[3])
    if #listing[2] == 0 or is_apart(at, value, listing[2]) then
        each('ZADD', key, tasks_in(listing[2], true))
    else
        enter_others(at, value, listing[2])
    end
    stay_with_others(at, listing[4])
    if call('EXPIRE', key, LIFE) == 0 and at > 0 then give_up(at, value) end
end

for _, listing in ipairs(moves[2]) do change_listing(listing) end

local stored = {}
for _, number in ipairs(kept) do stored[number] = about[(number - 1) * WORDS + ID] end
for _, index in ipairs(moves[3]) do
    for i = 1, #index[2], 2 do
        local id = stored[index[2][i]]
        if id then call('ZADD', index[1], index[2][i + 1], id) end
    end
    for _, number in ipairs(index[3]) do
        if stored[number] then call('ZREM', index[1], stored[number]) end
    end
    call('EXPIRE', index[1], LIFE)
end

-- 7. The minutes: what only the kept records add.
local TABLES = 8
local sums = #kept > 0 and cmsgpack.unpack(ARGV[13]) or {}
if #refused > 0 and #sums > 0 then
    local told = cmsgpack.unpack(ARGV[14])
    for _, number in ipairs(refused) do
        for _, share in ipairs(told[2][number]) do
            for _, place in ipairs(told[1][share[1]]) do
                local row = sums[place[1]][3]
                local left = (row[place[2]] or 0) - share[2]
                row[place[2]] = left ~= 0 and left or nil
            end
        end
    end
end
for _, sum in ipairs(sums) do
    local key, row = KEYS[TABLES + sum[1]], sum[2]
    local stored = next(sum[3]) and call('HGET', key, row)
    if stored == false and call('HLEN', key) >= tonumber(ARGV[10]) then
        -- For good: a row is never deleted, so what counts here stays here.
        row = ARGV[11]
        stored = call('HGET', key, row)
    end
    local numbers = stored and cmsgpack.unpack(stored) or {}
    for code, number in pairs(sum[3]) do
        numbers[code] = (numbers[code] or 0) + number
    end
    if stored ~= nil then call('HSET', key, row, cmsgpack.pack(numbers)) end
end
for i = TABLES + 1, #KEYS do
    call('EXPIRE', KEYS[i], ARGV[12])
end

-- 8. Whatever else belongs to it.
local at = BODY + 1 + RECORDS * 2
while at <= #ARGV do
    local words = tonumber(ARGV[at])
    call(unpack(ARGV, at + 1, at + words))
    at = at + 1 + words
end

return {last, opened and #fields > 0 and '1' or '', format('%.0f', first),
    unpack(refused)}
