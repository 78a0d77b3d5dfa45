-- wrk -s load.lua URL -- REQUEST [VALUES]: sends the request in the file REQUEST, byte for byte, but that each @ in it stands
-- for a key no other request has, or for the lines of the file VALUES in turn, from any of them on. What can be is prepared
-- before the start, and answers are only counted. With PACE_MS each thread begins a request every so many milliseconds, as long
-- as it has a free connection.
-- Prints one line of JSON.
local function read(path)
  local file = assert(io.open(path, "rb"))
  local content = file:read("*a")
  file:close()
  return content
end

local function random_bytes(n)
  local file = assert(io.open("/dev/urandom", "rb"))
  local bytes = file:read(n)
  file:close()
  return bytes
end

-- Made like a random UUID: 36 characters, in no order.
local function unique_key()
  count = count + 1
  return string.format("%08x-%s%06x", math.random(0, 0xffffffff), base, count)
end

function init(args)
  local a, b, c, d, e, f, g, h = random_bytes(8):byte(1, 8)
  math.randomseed(a + 256 * (b + 256 * (c + 256 * d)))
  base = string.format("%02x%02x-4%02xf-8%02xf-c0ffee", e, f, g, h)
  count, requests = 0, {}
  local template = read(args[1])
  if args[2] then
    for value in read(args[2]):gmatch("[^\n]+") do
      table.insert(requests, (template:gsub("@", value)))
    end
  elseif template:find("@") then
    pieces = {}
    for piece in (template .. "@"):gmatch("([^@]*)@") do table.insert(pieces, piece) end
  else
    requests[1] = template
  end
  index = math.random(math.max(1, #requests))
end

function request()
  if pieces then return table.concat(pieces, unique_key()) end
  index = index % #requests + 1
  return requests[index]
end

local pace = tonumber(os.getenv("PACE_MS") or "")
if pace then
  local ffi = require("ffi")
  ffi.cdef("struct timespec { long s, ns; }; int clock_gettime(int clock, struct timespec *t);")
  local now = ffi.new("struct timespec")
  local due
  function delay()
    ffi.C.clock_gettime(1, now)
    local ms = tonumber(now.s) * 1000 + tonumber(now.ns) / 1e6
    due = (due or ms) + pace
    return math.max(0, math.floor(due - ms))
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format('{"requests":%d,"seconds":%.6f,"median_us":%d,"p99_us":%d,', summary.requests,
    summary.duration / 1e6, latency:percentile(50), latency:percentile(99)))
  io.write(string.format('"errors":{"connect":%d,"read":%d,"write":%d,"status":%d,"timeout":%d}}\n', e.connect, e.read,
    e.write, e.status, e.timeout))
end
