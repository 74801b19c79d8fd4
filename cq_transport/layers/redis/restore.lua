-- Puts a message that was taken from a channel back into its place.
--   KEYS  1 the channel (sorted set)   2 which of the publisher's messages were accepted (bitmap)
--   ARGV  1 number of the message in the bitmap   2 '1' if it was sent before and its answer was lost   3 expiry in seconds
--         4 score, which is its place   5 message   6 the queue's bell
-- Capacity does not matter: the message had its room. Sent again, it does not come back a second time from its next consumer.
local channel, publisher, sequence = KEYS[1], KEYS[2], ARGV[1]
if ARGV[2] == '1' and redis.call('GETBIT', publisher, sequence) == 1 then return 0 end
redis.call('SETBIT', publisher, sequence, 1)
redis.call('EXPIRE', publisher, 600)
redis.call('ZADD', channel, ARGV[4], ARGV[5])
redis.call('EXPIRE', channel, ARGV[3])
redis.call('ZADD', ARGV[6], 0, '')
redis.call('EXPIRE', ARGV[6], ARGV[3])
return 1
