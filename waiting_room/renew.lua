-- Lets a session live on.
-- KEYS[1] the session
-- ARGV[1] the revision the caller holds; ARGV[2] TTL, ms, that it is to have at least; 0:
-- leave it as it is. It is left when the caller holds another revision
-- Gives 1 when that is what is stored, 0 when there is no session, else the session stored instead.
local current = redis.call('GET', KEYS[1])
if not current then
  return 0
end
if string.sub(current, 1, 16) ~= ARGV[1] then
  -- Whoever stored it knew better who is connected, and has given it the life that goes with it.
  return current
end
local ttl = tonumber(ARGV[2])
if ttl > 0 and redis.call('PTTL', KEYS[1]) < ttl then
  redis.call('PEXPIRE', KEYS[1], ttl)
end
return 1
