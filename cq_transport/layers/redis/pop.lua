-- Takes messages from channels, the first channel first.
--   KEYS  1 the reader's last batch   2.. the channels (sorted sets)
--   ARGV  1 number of this request   2 how many messages   3 seconds to keep the batch
-- What is left in the channels is others': their bells are rung.
-- Returns {now, {index of the channel, message, score, message, score, ...}, ...}. The batch is kept until the next request, so a
-- reader whose connection broke before it had the answer repeats the request and gets the same one.
local batch, request, wanted = KEYS[1], ARGV[1], tonumber(ARGV[2])
local kept = redis.call('GET', batch)
if kept then
  kept = cmsgpack.unpack(kept)
  if kept[1] == request then return kept[2] end
end

local function ring_for_the_rest(first)
  for index = first, #KEYS do
    if redis.call('EXISTS', KEYS[index]) == 1 then
      local bell = string.gsub(KEYS[index], '_p%d$', '') .. ':bell'  -- of all priorities
      redis.pcall('ZADD', bell, 0, '')
      redis.call('EXPIRE', bell, ARGV[3])
    end
  end
end

local time = redis.call('TIME')
local answer = {time[1] .. '.' .. string.format('%06d', time[2])}
for index = 2, #KEYS do
  local popped = redis.call('ZPOPMIN', KEYS[index], wanted)
  if #popped > 0 then
    wanted = wanted - #popped / 2
    table.insert(popped, 1, index - 1)
    answer[#answer + 1] = popped
    if wanted == 0 then
      ring_for_the_rest(index)
      break
    end
  end
end
if #answer > 1 then
  redis.pcall('SET', batch, cmsgpack.pack({request, answer}), 'EX', ARGV[3])
end
return answer
