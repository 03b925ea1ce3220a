-- Deletes a typed code, unless it is another room's.
-- KEYS[1] the typed code
-- ARGV[1] the room
-- Gives 1.
local value = redis.call('GET', KEYS[1])
if value and (value == '' or string.find(value, ARGV[1], 1, true)) then
  redis.call('DEL', KEYS[1])
end
return 1
