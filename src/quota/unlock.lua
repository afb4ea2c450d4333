-- Takes the mark of whoever fetches a token away, where it is that of the run which asks.
if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
return 0
