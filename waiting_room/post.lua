-- Puts entries into a participant's mailbox and rings at the node that holds their socket. The
-- session says which node that is, so nobody who is just moving from one to another is missed; and
-- a mailbox is made only for somebody the session knows, so ending it finds every mailbox.
-- KEYS[1] the session; KEYS[2] the mailbox
-- ARGV[1] the participant; ARGV[2] how a node's channel begins; ARGV[3] the message that rings
-- ARGV[4] how many entries a mailbox holds; ARGV[5] how many bytes; ARGV[6] TTL, ms
-- ARGV[7…] the entries
-- Gives 0 when there is no such recipient, 1 when stored, 2 when the mailbox is full.
local session = redis.call('GET', KEYS[1])
if not session then
  return 0
end
local recipient = nil
for _, participant in ipairs(cjson.decode(string.sub(session, 17)).session.participants) do
  if participant.id == ARGV[1] then
    recipient = participant
  end
end
if recipient == nil or recipient.status == 'left' or recipient.status == 'declined'
    or recipient.status == 'removed' then
  return 0
end
local kept = redis.call('XRANGE', KEYS[2], '-', '+')
local bytes = 0
for _, entry in ipairs(kept) do
  bytes = bytes + #entry[2][2]
end
for i = 7, #ARGV do
  bytes = bytes + #ARGV[i]
end
if #kept + #ARGV - 6 > tonumber(ARGV[4]) or bytes > tonumber(ARGV[5]) then
  return 2
end
for i = 7, #ARGV do
  redis.call('XADD', KEYS[2], '*', 'entry', ARGV[i])
end
redis.call('PEXPIRE', KEYS[2], ARGV[6])
if type(recipient.node) == 'string' then
  redis.call('PUBLISH', ARGV[2] .. recipient.node, ARGV[3])
end
return 1
