-- Puts one message into one channel.
--   KEYS  1 the channel (sorted set)   2 which of the publisher's messages were accepted (bitmap)
--   ARGV  1 number of the message in the bitmap   2 '1' if it was sent before and its answer was lost   3 expiry in seconds   4 capacity   5 message
--         6 the queue's bell
-- Returns the room that is left, or -1 if the channel is full. The bitmap makes it safe to send again after a
-- lost connection; the server's own clock makes it safe to have a publisher whose clock is wrong.
local channel, publisher = KEYS[1], KEYS[2]
local sequence, expiry, capacity = ARGV[1], tonumber(ARGV[3]), tonumber(ARGV[4])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000

local size = redis.call('ZCARD', channel)
if ARGV[2] == '1' and redis.call('GETBIT', publisher, sequence) == 1 then return math.max(capacity - size, 0) end
if size >= capacity then
  size = size - redis.call('ZREMRANGEBYSCORE', channel, 0, now - expiry)
  if size >= capacity then return -1 end
end
redis.call('SETBIT', publisher, sequence, 1)
redis.call('EXPIRE', publisher, 600)
redis.call('ZADD', channel, now, ARGV[5])
redis.call('EXPIRE', channel, expiry)
if size == 0 then  -- else the bell has rung, and whoever leaves something in the channel rings it again
  redis.call('ZADD', ARGV[6], 0, '')
  redis.call('EXPIRE', ARGV[6], expiry)
end
return capacity - size - 1
