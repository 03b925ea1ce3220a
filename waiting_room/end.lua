-- Deletes a session with all its mailboxes, if it is the one the caller knows (and so knows the
-- mailboxes of); tells every node.
-- KEYS[1] the session; KEYS[2] its typed code; KEYS[3…] the mailboxes of all its participants
-- ARGV[1] the revision expected; ARGV[2] every node's channel; ARGV[3] the message
-- Gives 1 when nothing is left, or the digits of the typed code in a list of one, else the session that
-- is stored instead.
local current = redis.call('GET', KEYS[1])
if current and string.sub(current, 1, 16) ~= ARGV[1] then
  return current
end
local code = redis.call('GET', KEYS[2])
for i = 1, #KEYS do
  redis.call('DEL', KEYS[i])
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return code and {code} or 1
