-- Compare and set: stores a session if what is stored is still what the caller started from.
-- KEYS[1] the session; KEYS[2…] mailboxes that are of no use any more
-- ARGV[1] the revision expected, '' when there must be none; ARGV[2] the new value; ARGV[3] TTL, ms
-- ARGV[4] how a message to a node begins; ARGV[5…] the nodes' channels
-- Gives 1 when stored, 0 when there is no session, else the session that is stored instead.
local current = redis.call('GET', KEYS[1])
if current then
  if string.sub(current, 1, 16) ~= ARGV[1] then
    return current
  end
elseif ARGV[1] ~= '' then
  return 0
end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
for i = 2, #KEYS do
  redis.call('DEL', KEYS[i])
end
for i = 5, #ARGV do
  redis.call('PUBLISH', ARGV[i], ARGV[4] .. ARGV[2])
end
return 1
