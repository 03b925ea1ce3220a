-- Takes what a typed code leads to, once. The empty value left behind says that it has been used.
-- KEYS[1] the typed code
-- ARGV[1] now, s since 1970: past its planned end a code is left as it is
-- Gives what it leads to, '' when it has been used, false when there is no such code.
local value = redis.call('GET', KEYS[1])
if value and value ~= '' and tonumber(ARGV[1]) < cjson.decode(value).closes_at then
  redis.call('SET', KEYS[1], '', 'KEEPTTL')
end
return value
