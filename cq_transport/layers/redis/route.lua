-- Puts one message into the channel of every queue whose binding matches.
--   KEYS  1 the bindings of the exchange (sorted set: binding -> when its lease ends)   2 which of the publisher's messages were accepted (bitmap)
--   ARGV  1 number of the message in the bitmap   2 '1' if it was sent before and its answer was lost   3 expiry in seconds
--         4 capacity of transient queues   5 prefix of channel keys   6 suffix of the priority   7 exchange type
--         8 routing key   9 dead-letter channel or ''   10 message
-- A binding is msgpack of {routing key, channel, capacity, lease}; a lease of 0 stays. The queues' channels are derived from
-- the bindings, so they are no KEYS, nor are the queues' bells. Returns the room that is left in the fullest durable queue, or -1
-- if one is full: then no queue has got the message. In a full transient queue the oldest message makes room.
local bindings, publisher = KEYS[1], KEYS[2]
local sequence, expiry, transient_capacity = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local prefix, suffix, kind, routing_key, dead_letters, message = ARGV[5], ARGV[6], ARGV[7], ARGV[8], ARGV[9], ARGV[10]
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000

local function words_of(key)
  local words = {}
  for word in string.gmatch(key .. '.', '([^.]*)%.') do words[#words + 1] = word end
  return words
end

local function topic_matches(pattern, words, i, j)
  if i > #pattern then return j > #words end
  if pattern[i] == '#' then
    return topic_matches(pattern, words, i + 1, j) or (j <= #words and topic_matches(pattern, words, i, j + 1))
  end
  return j <= #words and (pattern[i] == '*' or pattern[i] == words[j]) and topic_matches(pattern, words, i + 1, j + 1)
end

local key_words = words_of(routing_key)
local function matches(pattern)
  if kind == 'fanout' then return true end
  if kind == 'topic' then return topic_matches(words_of(pattern), key_words, 1, 1) end
  return pattern == routing_key
end

if ARGV[2] == '1' and redis.call('GETBIT', publisher, sequence) == 1 then return 0 end

redis.call('ZREMRANGEBYSCORE', bindings, '-inf', '(' .. string.format('%.6f', now))
local targets, found, room = {}, {}, math.huge
for _, packed in ipairs(redis.call('ZRANGE', bindings, 0, -1)) do
  local binding = cmsgpack.unpack(packed)
  local channel, capacity, lease = prefix .. binding[2] .. suffix, binding[3], binding[4]
  if not found[channel] and matches(binding[1]) then
    found[channel] = true
    targets[#targets + 1] = {channel, lease, prefix .. binding[2] .. ':bell'}
    if lease == 0 then
      local size = redis.call('ZCARD', channel)
      if size >= capacity then size = size - redis.call('ZREMRANGEBYSCORE', channel, 0, now - expiry) end
      if size >= capacity then return -1 end
      room = math.min(room, capacity - size - 1)
    end
  end
end

redis.call('SETBIT', publisher, sequence, 1)
redis.call('EXPIRE', publisher, 600)
if #targets == 0 and dead_letters ~= '' then targets[1] = {dead_letters, 0, string.gsub(dead_letters, '_p%d$', '') .. ':bell'} end
for _, target in ipairs(targets) do
  local channel, lease = target[1], target[2]
  local life = lease == 0 and expiry or math.max(1, math.ceil(math.min(expiry, lease)))
  if redis.call('EXISTS', channel) == 0 then
    redis.call('ZADD', target[3], 0, '')
    redis.call('EXPIRE', target[3], life)
  end
  redis.call('ZADD', channel, now, message)
  redis.call('EXPIRE', channel, life)
  if lease ~= 0 then
    local surplus = redis.call('ZCARD', channel) - transient_capacity
    if surplus > 0 then redis.call('ZPOPMIN', channel, surplus) end
  end
end
return room == math.huge and transient_capacity or room
