-- Gives a room a typed code, while the room is there.
-- KEYS[1] the session; KEYS[2] the room's code
-- ARGV[1] the digits; ARGV[2] TTL, ms
-- Gives 0 when there is no session, else the digits of the code it had, or 1.
if not redis.call('GET', KEYS[1]) then
  return 0
end
local former = redis.call('GET', KEYS[2])
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return former or 1
