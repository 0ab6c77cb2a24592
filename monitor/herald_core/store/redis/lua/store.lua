#!lua
-- Store records, their indexes and the news of them in one step, or nothing.
--
-- The first line makes Redis refuse the whole script before its first write when
-- memory is full; for forgetting, scripts.py adds a flag there that allows it.
-- bitmaps.py says what the number of a task, a chunk and a segment are.
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
--      16 msgpack: the records, as columns, of which these are the short ones:
--         shapes   {head, ttl, due} each, which records share:
--                  how their keys begin; seconds; when the task runs out (or was
--                  forgotten), in ms, "" for neither
--         shape_of a shape's place for each record
--         ids      the rest of each key
--         revs     that a stored record must begin with, by record; none if there
--                  must be no record
--         numbers  of the tasks, by record; none of a new task, -2 of what is no task
--      17 msgpack: the change of each record as it lies in the log; "" for none
--      18 msgpack: what is stored of each behind rev and number; "" forgets the record
--       then further commands: number of words, the words, ...
-- Returns {end of the log, "1" if it opened an epoch, number of the first new task,
--          refused record numbers...}

local call, floor, format = redis.call, math.floor, string.format
local META, LOG, MARKS, DUE, GONE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5]
local SEQ, CHUNKS, COUNTS = KEYS[6], KEYS[7], KEYS[8]
local RECORDS, LIFE, NOW = tonumber(ARGV[6]), ARGV[4], ARGV[15]
local CHUNK, SEGMENT = 4096, 128
local MOST_WORDS = 4000 -- Lua's stack ends at 8000 words

-- Columns, not arguments: Redis makes several objects of each argument. The loops over
-- records count by themselves and call no function: the interpreter takes half of the
-- script's time.
local shapes, shape_of, ids, revs, numbers = unpack(cmsgpack.unpack(ARGV[16]))
local changes, bodies = cmsgpack.unpack(ARGV[17]), cmsgpack.unpack(ARGV[18])
local FIRST_COMMAND = 19

-- 1. Compare: a record that somebody else changed is left out.
local kept, kept_count, refused = {}, 0, {}
local rank, fields, ranks, size = {}, {}, 0, 0
local keys, new, new_count = {}, {}, 0
for number = 1, RECORDS do
    local key = shapes[shape_of[number]][1] .. ids[number]
    keys[number] = key
    if not revs[number] then
        new_count = new_count + 1
        new[new_count] = key
    end
end

-- Under load nearly all are new, and none of them is there: one look at all of them.
local all_new = new_count == 0 or call('EXISTS', unpack(new)) == 0
for number = 1, RECORDS do
    local rev, same = revs[number], all_new
    if rev then
        same = call('GETRANGE', keys[number], 0, #rev) == rev .. ' '
    elseif not all_new then
        same = call('EXISTS', keys[number]) == 0
    end
    if same then
        kept_count = kept_count + 1
        kept[kept_count] = number
        local change = changes[number]
        if change ~= '' then
            rank[number] = ranks
            fields[2 * ranks + 1], fields[2 * ranks + 2] = ranks, change
            ranks, size = ranks + 1, size + #change
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
if ranks == 0 and bookmark then
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
local own, fresh, fresh_count, first = {}, {}, 0, 0

-- Note that tasks of a chunk or segment were first heard of now.
local function widen(key, part)
    local from, to = string.match(call('HGET', key, part) or '', '(%d+) (%d+)')
    if not from or tonumber(NOW) < tonumber(from) then from = NOW end
    if not to or tonumber(NOW) > tonumber(to) then to = NOW end
    call('HSET', key, part, from .. ' ' .. to)
end

for i = 1, kept_count do
    local number = kept[i]
    local known = numbers[number]
    if not known then
        fresh_count = fresh_count + 1
        fresh[fresh_count] = number
    elseif known >= 0 then
        own[number] = known
    end
end
if fresh_count > 0 then
    first = call('INCRBY', SEQ, fresh_count) - fresh_count
    for i = 1, fresh_count do own[fresh[i]] = first + i - 1 end
    local last_task = first + fresh_count - 1
    for chunk = floor(first / CHUNK), floor(last_task / CHUNK) do
        widen(CHUNKS, chunk)
    end
    for segment = floor(first / SEGMENT), floor(last_task / SEGMENT) do
        local key = CHUNKS .. ':' .. floor(segment * SEGMENT / CHUNK)
        widen(key, segment)
        call('EXPIRE', key, LIFE)
    end
end
if kept_count > 0 then
    call('EXPIRE', SEQ, LIFE)
    call('EXPIRE', CHUNKS, LIFE)
end

-- 5. The records, and what lies in each segment.
local segments, gone = {}, {}

local function get_segment(segment)
    local found = segments[segment]
    if not found then
        found = {ids = {}, done = {}}
        segments[segment] = found
    end
    return found
end

local function quiet_rev(rev)
    local shown, times = string.match(rev, '^(.-)%+(%d+)$')
    return (shown or rev) .. '+' .. format('%d', (times or 0) + 1)
end

local function note_place(segment, place, number, at)
    if bodies[number] == '' then
        segment.done[#segment.done + 1] = place
        return
    end
    if not numbers[number] then
        segment.ids[#segment.ids + 1] = place
        segment.ids[#segment.ids + 1] = ids[number]
    end
    if segment.at ~= at and (not segment.at or tonumber(at) < segment.due) then
        segment.due, segment.at = tonumber(at), at
    end
end

-- Numbers as text: neighbours share all but the last digit. Each text that is made
-- takes as long as ten steps of the interpreter.
local DIGITS = {[0] = '0', '1', '2', '3', '4', '5', '6', '7', '8', '9'}
local function to_text(tens) return tens == 0 and '' or format('%d', tens / 10) end

local rank_tens, rank_text, task_tens, task_text = 0, last .. '.', 0, ''
for i = 1, kept_count do
    local number = kept[i]
    local shape, task, body = shapes[shape_of[number]], own[number], bodies[number]
    local place = rank[number]
    if task then
        local within = task % SEGMENT
        note_place(get_segment((task - within) / SEGMENT), within, number, shape[3])
    end
    if body == '' then
        call('DEL', keys[number])
        if shape[3] ~= '' then
            gone[#gone + 1] = shape[3]
            gone[#gone + 1] = ids[number]
        end
    else
        local rev, rev_digit, own_number, own_digit
        if place then
            rev_digit = place % 10
            if place - rev_digit ~= rank_tens then
                rank_tens = place - rev_digit
                rank_text = last .. '.' .. to_text(rank_tens)
            end
            rev, rev_digit = rank_text, DIGITS[rev_digit]
        else
            rev, rev_digit = quiet_rev(revs[number] or ''), ''
        end
        if task then
            own_digit = task % 10
            if task - own_digit ~= task_tens then
                task_tens = task - own_digit
                task_text = to_text(task_tens)
            end
            own_number, own_digit = task_text, DIGITS[own_digit]
        else
            own_number, own_digit = '-', ''
        end
        local stored = rev .. rev_digit .. ' ' .. own_number .. own_digit .. ' ' .. body
        call('SET', keys[number], stored, 'EX', shape[2])
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
local word_of, bit_of = {}, {}
for number, task in pairs(own) do
    local place = task % WORD
    word_of[number], bit_of[number] = (task - place) / WORD, BIT[place]
end

-- Return the sums of the bits of these records by word, and add these words to a list.
local function gather(list, words)
    local sums, count = {}, #words
    for i = 1, #list do
        local number = list[i]
        local word = word_of[number]
        if word then
            local sum = sums[word]
            if not sum then
                sum, count = 0, count + 1
                words[count] = word
            end
            sums[word] = sum + bit_of[number]
        end
    end
    return sums
end

-- Return the masks of these records by chunk, and there by word.
local function gather_masks(entering, leaving)
    local words, chunks = {}, {}
    local enter, leave = gather(entering, words), gather(leaving, words)
    for _, word in ipairs(words) do
        local place = word % WORDS_OF_CHUNK
        local chunk = (word - place) / WORDS_OF_CHUNK
        local masks = chunks[chunk]
        if not masks then
            masks = {[1] = {}, [-1] = {}, words = {}}
            chunks[chunk] = masks
        end
        if not masks[1][place] then masks.words[#masks.words + 1] = place end
        masks[1][place], masks[-1][place] = enter[word] or 0, leave[word] or 0
    end
    return chunks
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

-- Whether a chunk near this one has bits of a map. Of a value that many tasks have, the
-- next one has: to look through all chunks whenever one is left would take, for all
-- tasks of a store, the square of their number.
local NEAR = 32
local function has_neighbor(map, chunk)
    local from, to = 1, 1
    while to <= NEAR do
        local keys = {}
        for step = from, to do
            keys[#keys + 1] = map[2] .. format('%d', chunk + step) .. map[3]
            keys[#keys + 1] = map[2] .. format('%d', chunk - step) .. map[3]
        end
        if call('EXISTS', unpack(keys)) > 0 then return true end
        from, to = to + 1, to * 2
    end
    return false
end

-- Whether no chunk has bits of a map that has none in `chunk` any more.
local function is_empty(map, chunk)
    if has_neighbor(map, chunk) then return false end
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
    local entering, more, emptied = map[4], 0, nil
    if #entering > 0 and not is_apart(at, value, entering) then
        enter_others(at, value, entering)
        entering = {}
    end
    local chunks = gather_masks(entering, map[5])
    for chunk, masks in pairs(chunks) do
        local set, left = change(map[2] .. chunk .. map[3], masks, counted)
        more, emptied = more + set, left and chunk or emptied
    end
    leave_others(at, value, map[5])
    for _, chunk in ipairs(map[6]) do
        if not chunks[chunk] then call('EXPIRE', map[2] .. chunk .. map[3], LIFE) end
    end
    stay_with_others(at, map[6])
    if more ~= 0 then call('HINCRBY', COUNTS, map[1], more) end
    if emptied and at > 0 and is_empty(map, emptied) then give_up(at, value) end
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
if #moves[3] > 0 then
    for _, number in ipairs(kept) do stored[number] = ids[number] end
end
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
local sums = kept_count > 0 and cmsgpack.unpack(ARGV[13]) or {}
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
local at = FIRST_COMMAND
while at <= #ARGV do
    local words = tonumber(ARGV[at])
    call(unpack(ARGV, at + 1, at + words))
    at = at + 1 + words
end

return {last, opened and #fields > 0 and '1' or '', format('%.0f', first),
    unpack(refused)}
