-- wrk -s orders.lua URL -- TOKEN [PAUSE]: orders with a key of their own each, by clients that pause for PAUSE ms
-- before each. Prints "201s 503s others milliseconds"; a 503 that does not say when to come again is one of the others.
local threads = {}

function setup(thread)
  table.insert(threads, thread)
end

function init(args)
  local random = io.open("/dev/urandom", "rb")
  base = random:read(8):gsub(".", function(c) return string.format("%02x", c:byte()) end)
  random:close()
  token, pause, count, created, shed, other = args[1], tonumber(args[2] or 0), 0, 0, 0, 0
end

function delay()
  return pause
end

function request()
  count = count + 1
  return wrk.format("POST", "/orders",
    {["Authorization"] = "Bearer " .. token, ["Content-Type"] = "application/json",
     ["Idempotency-Key"] = base .. "-" .. count},
    '{"customer_id":"customer-1","items":[{"product_id":"laptop-001","quantity":1,"unit_price":999.99},' ..
    '{"product_id":"mouse-001","quantity":2,"unit_price":29.99}]}')
end

function response(status, headers)
  if status == 201 then created = created + 1
  elseif status == 503 and tonumber(headers["Retry-After"]) then shed = shed + 1
  else other = other + 1 end
end

function done(summary)
  local c, s, o = 0, 0, 0
  for _, thread in ipairs(threads) do
    c, s, o = c + thread:get("created"), s + thread:get("shed"), o + thread:get("other")
  end
  local errors = summary.errors
  o = o + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("%d %d %d %d\n", c, s, o, summary.duration / 1000))
end
