-- Adds members to a sorted set of leases and removes those that have ended, by the server's own clock.
--   KEYS  1 the leases (sorted set: member -> when its lease ends)
--   ARGV  1 seconds, or 0 for a lease without end   2.. members
local seconds = tonumber(ARGV[1])
local time = redis.call('TIME')
local now = time[1] + time[2] / 1000000
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.6f', now))
for index = 2, #ARGV do
  redis.call('ZADD', KEYS[1], seconds == 0 and '+inf' or now + seconds, ARGV[index])
end
