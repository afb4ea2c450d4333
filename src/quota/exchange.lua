-- One exchange between a run and the shared server: registers the run, merges pauses, stores and
-- looks up answers, claims numbers, and grants the slots of the next calls. Times are microseconds
-- of this server's clock, except where milliseconds are named.
--
-- KEYS: pace, slots, runs; then an answer and a claim for each settled number; then an answer and a
-- claim for each queried number.
-- ARGV: see Protocol::arguments in protocol.rs, which also defines the constants.

local arg_index = 0
local function arg()
  arg_index = arg_index + 1
  return ARGV[arg_index]
end
local function number()
  return tonumber(arg())
end
local function integer(value)
  return string.format('%.0f', value)
end

local LEASE, REPLY_VALID_FOR, QUIET_TIME = number(), number(), number()
local SLOT_GUARD, EXACT_BELOW, SPACING_FACTOR = number(), number(), number()
local DECREASE_FACTOR, MIN_RATE_FACTOR, MIN_DECREASE_INTERVAL = number(), number(), number()
local RECOVERY_STEP, RECOVERY_INTERVAL = number(), number()

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local run, server, endpoint, app, own_rate_text = arg(), arg(), arg(), arg(), arg()
local own_rate = tonumber(own_rate_text)
local retention_ms, claim_ttl_ms = number(), number()

-- Register the run. This is the first write, so that a server that is out of memory refuses the
-- script before anything is changed.
local state = redis.call('HMGET', KEYS[1],
  'server', 'last', 'open', 'slot', 'hold', 'cause', 'share', 'changed')
local last, valid_from = tonumber(state[2]), tonumber(state[3]) or 0
local last_slot = tonumber(state[4]) or 0
local pause_until, cause = tonumber(state[5]) or 0, state[6] or ''
local rate_factor, changed = tonumber(state[7]) or 1, math.min(tonumber(state[8]) or 0, now)
local peers, min_rate, alive = 0, own_rate, {}
local runs = redis.call('HGETALL', KEYS[3])
redis.call('HSET', KEYS[3], run, integer(now) .. ' ' .. own_rate_text)
local had_runs = #runs > 0
for i = 1, #runs, 2 do
  local seen, rate = string.match(runs[i + 1], '^(%S+) (%S+)$')
  if tonumber(seen) > now then
    -- The clock was set back: the lease of this run starts again now.
    redis.call('HSET', KEYS[3], runs[i], integer(now) .. ' ' .. rate)
  end
  if runs[i] == run then
    -- Counted below.
  elseif tonumber(seen) < now - LEASE then
    redis.call('HDEL', KEYS[3], runs[i])
  else
    peers = peers + 1
    alive[runs[i]] = true
    rate = tonumber(rate)
    if rate > 0 and (min_rate == 0 or rate < min_rate) then min_rate = rate end
  end
end
alive[run] = true

-- Slots granted earlier may still be in use if this state is new, if the server or its clock has
-- changed, or if no run was registered for so long that all may have considered the server lost. No
-- slot is granted until they have expired.
local clock_stepped, round_trip = arg() == '1', number()
local state_lost = state[1] ~= server or not last or now < last or clock_stepped
if state_lost or (had_runs and now - last > REPLY_VALID_FOR) then
  valid_from = now + QUIET_TIME
  last_slot = 0
  redis.call('DEL', KEYS[2])
end
-- If the clock was set back, a pause keeps its remaining time.
if last and now < last and pause_until > 0 then pause_until = pause_until - (last - now) end

-- The pause that this run reports.
local pause, pause_cause, slow_down = number(), arg(), arg()
if pause > 0 then
  if now + pause > pause_until then
    pause_until, cause = now + pause, pause_cause
  end
  if slow_down == '1' and now - changed > MIN_DECREASE_INTERVAL then
    rate_factor, changed = math.max(rate_factor * DECREASE_FACTOR, MIN_RATE_FACTOR), now
  end
elseif rate_factor < 1 and now - changed > RECOVERY_INTERVAL then
  rate_factor, changed = math.min(rate_factor + RECOVERY_STEP, 1), now
end

-- Unused slots.
for _ = 1, number() do
  redis.call('LREM', KEYS[2], -1, arg())
end

-- Settled numbers, with an answer to store or without.
local key = 3
for _ = 1, number() do
  local value = arg()
  if value ~= '' then redis.call('SET', KEYS[key + 1], value, 'PX', retention_ms) end
  if redis.call('GET', KEYS[key + 2]) == run then redis.call('DEL', KEYS[key + 2]) end
  key = key + 2
end

-- Queried numbers. Results: '+' claimed by this run, '-' claimed by another run, 'a' and the answer
-- if there is one that is not too old, '' otherwise.
local results, claimed = {}, 0
local oldest_any_ms, oldest_not_found_ms = number(), number()
for _ = 1, number() do
  local mode, result = arg(), ''
  local value = redis.call('GET', KEYS[key + 1])
  local oldest_ms = oldest_any_ms
  if string.sub(mode, 1, 1) == 'n' then oldest_ms = oldest_not_found_ms end
  if value and tonumber(string.match(value, '^(%d+) ') or 0) < oldest_ms then value = false end
  if value then
    result = 'a' .. value
  elseif string.sub(mode, 2, 2) == 'c' then
    local owner = redis.call('GET', KEYS[key + 2])
    if owner and owner ~= run and alive[owner] then
      result = '-'
    else
      redis.call('SET', KEYS[key + 2], run, 'PX', claim_ttl_ms)
      result = '+'
      claimed = claimed + 1
    end
  end
  results[#results + 1] = result
  key = key + 2
end

-- The slots of the next calls. They use a little less than the rate: the guard allows for late
-- calls and for differences in travel time. Up to EXACT_BELOW calls per second, `window`
-- consecutive slots (the rate rounded down) take at least their nominal time and the guard, and are
-- spaced a little closer than that, so that missed slots are made up for. Above, only the spacing
-- applies.
local missing_slots, max_slots = number(), number()
local rate = min_rate * rate_factor
local slots = {}
local wanted = math.min(missing_slots + claimed, max_slots)
if pause_until > now then wanted = 0 end
local window = math.max(math.floor(rate), 1)
local spacing = (1000000 + SLOT_GUARD) / rate
local recent = {}
if min_rate > 0 and rate <= EXACT_BELOW and wanted > 0 then
  spacing = 1000000 / (rate * SPACING_FACTOR)
  recent = redis.call('LRANGE', KEYS[2], -window, -1)
end
for _ = 1, wanted do
  -- Not before the reply can have reached the run.
  local slot = math.max(now + round_trip, valid_from)
  if min_rate > 0 then
    slot = math.max(slot, last_slot + spacing)
    if rate <= EXACT_BELOW then
      local first = recent[#recent + 1 - window]
      if first then slot = math.max(slot, first + window * (1000000 + SLOT_GUARD) / rate) end
      recent[#recent + 1] = integer(slot)
      redis.call('RPUSH', KEYS[2], integer(slot))
    end
    last_slot = slot
  end
  slots[#slots + 1] = integer(slot)
end
redis.call('LTRIM', KEYS[2], -EXACT_BELOW, -1)

redis.call('HSET', KEYS[1], 'server', server, 'last', integer(now), 'open', integer(valid_from),
  'slot', integer(last_slot), 'hold', integer(pause_until), 'cause', cause, 'share', rate_factor,
  'changed', integer(changed), 'endpoint', endpoint, 'app', app)
-- The state expires when it is of no more use, but not before the answers, since it has the name of
-- the app that they belong to.
local expiry_ms = retention_ms + math.max(pause_until - now, 0) / 1000
if min_rate > 0 then expiry_ms = expiry_ms + 2000 / min_rate end
expiry_ms = math.max(expiry_ms, redis.call('PTTL', KEYS[1]))
for i = 1, 3 do
  redis.call('PEXPIRE', KEYS[i], integer(expiry_ms))
end
return { integer(now), integer(valid_from), integer(math.max(pause_until - now, 0)), cause, peers,
  string.format('%.17g', min_rate), string.format('%.17g', rate_factor), slots, results }
