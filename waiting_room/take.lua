-- Empties a mailbox.
-- KEYS[1] the mailbox
-- Gives its entries, in the order in which they were posted.
local entries = {}
for i, entry in ipairs(redis.call('XRANGE', KEYS[1], '-', '+')) do
  entries[i] = entry[2][2]
end
redis.call('DEL', KEYS[1])
return entries
