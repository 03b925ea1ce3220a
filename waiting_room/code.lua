-- Gives a room a typed code, while the room is there.
-- KEYS[1] the session; KEYS[2] the room's code
-- ARGV[1] the digits; ARGV[2] TTL, ms; ARGV[3] the digits of a code that leads nowhere any more, or ''
-- Gives 1; or 0 when there is no session, or the digits of a code that may still lead here: then nothing
-- was changed.
if not redis.call('GET', KEYS[1]) then
  return 0
end
local former = redis.call('GET', KEYS[2])
if former and former ~= ARGV[3] and former ~= ARGV[1] then
  return former
end
redis.call('SET', KEYS[2], ARGV[1], 'PX', ARGV[2])
return 1
