-- Deletes a session with all its mailboxes, if it is the one the caller knows (and so knows the
-- mailboxes of); tells every node.
-- KEYS[1] the session; KEYS[2] its typed code; KEYS[3…] the mailboxes of all its participants
-- ARGV[1] the revision expected; ARGV[2] every node's channel; ARGV[3] the message
-- ARGV[4] the digits of a typed code that leads nowhere any more, or ''
-- Gives 1 when nothing is left; the digits of a typed code that still leads here in a list of one, or
-- the session that is stored instead: then nothing was deleted.
local current = redis.call('GET', KEYS[1])
if current and string.sub(current, 1, 16) ~= ARGV[1] then
  return current
end
local code = redis.call('GET', KEYS[2])
if code and code ~= ARGV[4] then
  return {code}
end
for i = 1, #KEYS do
  redis.call('DEL', KEYS[i])
end
redis.call('PUBLISH', ARGV[2], ARGV[3])
return 1
