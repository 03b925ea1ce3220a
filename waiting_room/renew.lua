-- Lets a session live on.
-- KEYS[1] the session
-- ARGV[1] the revision the caller holds; ARGV[2] TTL, ms
-- Gives 1 when that is what is stored, 0 when there is no session, else the session stored instead.
local current = redis.call('GET', KEYS[1])
if not current then
  return 0
end
redis.call('PEXPIRE', KEYS[1], ARGV[2])
if string.sub(current, 1, 16) == ARGV[1] then
  return 1
end
return current
