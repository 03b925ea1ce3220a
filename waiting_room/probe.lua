-- For the start: does with a key of its own all that the other scripts do with theirs.
-- KEYS[1] the probe
-- ARGV[1] this node's channel
-- Gives 1.
redis.call('SET', KEYS[1], '', 'PX', 1000)
redis.call('PEXPIRE', KEYS[1], redis.call('PTTL', KEYS[1]))
redis.call('GET', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('XADD', KEYS[1], '*', 'm', '')
redis.call('XRANGE', KEYS[1], '-', '+')
redis.call('DEL', KEYS[1])
redis.call('PUBLISH', ARGV[1], '')
return 1
