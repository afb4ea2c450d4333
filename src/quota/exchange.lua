-- One word between a run and the shared server: who is there, whether all calls rest, which numbers somebody else has asked
-- or asks, and the slots of the next calls. Times are microseconds of this server's clock.
--
-- KEYS: pace, slots, runs; then an answer and a claim for each number that is given back; then the same for each that is
-- looked at.
-- ARGV: see Request::command in talk.rs.

local QUIET, CONFIRMED, LEASE = 2100000, 1000000, 5000000
local GUARD, EXACT, FASTER = 22000, 60, 1.05
local CUT, FLOOR, STEP, RECOVERY, APART = 0.8, 0.1, 0.05, 10000000, 1000000

local at = 0
local function arg()
  at = at + 1
  return ARGV[at]
end
local function number()
  return tonumber(arg())
end
local function whole(value)
  return string.format('%.0f', value)
end

local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local run, server, endpoint, app, said = arg(), arg(), arg(), arg(), arg()
local asked = tonumber(said)
local keep, lease = number(), number()

-- Who is there. The first write, so that a server without memory refuses before anything is changed.
local known = redis.call('HMGET', KEYS[1], 'server', 'last', 'open', 'slot', 'hold', 'cause', 'share', 'changed')
local last, open, before = tonumber(known[2]), tonumber(known[3]) or 0, tonumber(known[4]) or 0
local hold, cause = tonumber(known[5]) or 0, known[6] or ''
local share, changed = tonumber(known[7]) or 1, math.min(tonumber(known[8]) or 0, now)
local others, least, alive = 0, asked, {}
local all = redis.call('HGETALL', KEYS[3])
redis.call('HSET', KEYS[3], run, whole(now) .. ' ' .. said)
local registered = #all > 0
for i = 1, #all, 2 do
  local seen, rate = string.match(all[i + 1], '^(%S+) (%S+)$')
  if tonumber(seen) > now then
    -- The clock was set back: from now on it counts as heard of now.
    redis.call('HSET', KEYS[3], all[i], whole(now) .. ' ' .. rate)
  end
  if all[i] == run then
    -- Counted below.
  elseif tonumber(seen) < now - LEASE then
    redis.call('HDEL', KEYS[3], all[i])
  else
    others = others + 1
    alive[all[i]] = true
    rate = tonumber(rate)
    if rate > 0 and (least == 0 or rate < least) then least = rate end
  end
end
alive[run] = true

-- What was promised before may still be used where this state is new, or the server or its clock another one, or where nobody
-- was heard of for so long that all may have thought it lost: nothing is promised until that is over.
local stepped, way = arg() == '1', number()
local strange = known[1] ~= server or not last or now < last or stepped
if strange or (registered and now - last > CONFIRMED) then
  open = now + QUIET
  before = 0
  redis.call('DEL', KEYS[2])
end
-- A rest lasts as long by a clock that was set back.
if last and now < last and hold > 0 then hold = hold - (last - now) end

-- A limit that this run met.
local rest, why, cut = number(), arg(), arg()
if rest > 0 then
  if now + rest > hold then
    hold, cause = now + rest, why
  end
  if cut == '1' and now - changed > APART then
    share, changed = math.max(share * CUT, FLOOR), now
  end
elseif share < 1 and now - changed > RECOVERY then
  share, changed = math.min(share + STEP, 1), now
end

-- Slots that went by unused.
for _ = 1, number() do
  redis.call('LREM', KEYS[2], -1, arg())
end

-- Numbers that are settled: with an answer for all, or without.
local key = 3
for _ = 1, number() do
  local value = arg()
  if value ~= '' then redis.call('SET', KEYS[key + 1], value, 'PX', keep) end
  if redis.call('GET', KEYS[key + 2]) == run then redis.call('DEL', KEYS[key + 2]) end
  key = key + 2
end

-- Numbers that are looked at: '+' where this run is to ask, '-' where another one does, 'a' and the answer where there is
-- one that is not too old, and nothing where there is none.
local told, claimed = {}, 0
local any, nobody = number(), number()
for _ = 1, number() do
  local how, say = arg(), ''
  local value = redis.call('GET', KEYS[key + 1])
  local bound = any
  if string.sub(how, 1, 1) == 'n' then bound = nobody end
  if value and tonumber(string.match(value, '^(%d+) ') or 0) < bound then value = false end
  if value then
    say = 'a' .. value
  elseif string.sub(how, 2, 2) == 'c' then
    local holder = redis.call('GET', KEYS[key + 2])
    if holder and holder ~= run and alive[holder] then
      say = '-'
    else
      redis.call('SET', KEYS[key + 2], run, 'PX', lease)
      say = '+'
      claimed = claimed + 1
    end
  end
  told[#told + 1] = say
  key = key + 2
end

-- The slots of the next calls, at a little less than the rate: by the guard, in which calls may be late and differ in how long
-- they travel. Up to sixty a second as many calls as the rate has, rounded down, take their whole time at least, counted over
-- the last slots, and are spaced a little closer, so that slots that went by are made up for; above, spacing alone rules.
local due, most = number(), number()
local rate = least * share
local slots = {}
local wanted = math.min(due + claimed, most)
if hold > now then wanted = 0 end
local count = math.max(math.floor(rate), 1)
local spacing = (1000000 + GUARD) / rate
local recent = {}
if least > 0 and rate <= EXACT and wanted > 0 then
  spacing = 1000000 / (rate * FASTER)
  recent = redis.call('LRANGE', KEYS[2], -count, -1)
end
for _ = 1, wanted do
  -- Not before the run can have heard of it.
  local slot = math.max(now + way, open)
  if least > 0 then
    slot = math.max(slot, before + spacing)
    if rate <= EXACT then
      local first = recent[#recent + 1 - count]
      if first then slot = math.max(slot, first + count * (1000000 + GUARD) / rate) end
      recent[#recent + 1] = whole(slot)
      redis.call('RPUSH', KEYS[2], whole(slot))
    end
    before = slot
  end
  slots[#slots + 1] = whole(slot)
end
redis.call('LTRIM', KEYS[2], -EXACT, -1)

redis.call('HSET', KEYS[1], 'server', server, 'last', whole(now), 'open', whole(open), 'slot', whole(before), 'hold', whole(hold),
  'cause', cause, 'share', share, 'changed', whole(changed), 'endpoint', endpoint, 'app', app)
-- No longer than anything that is remembered here is of use, and as long as any answer, so that its owner's name is there.
local expiry = keep + math.max(hold - now, 0) / 1000 + (least > 0 and 2000 / least or 0)
expiry = math.max(expiry, redis.call('PTTL', KEYS[1]))
for i = 1, 3 do
  redis.call('PEXPIRE', KEYS[i], whole(expiry))
end
return { whole(now), whole(open), whole(math.max(hold - now, 0)), cause, others, string.format('%.17g', least), string.format('%.17g', share), slots, told }
