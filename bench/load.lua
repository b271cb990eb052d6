-- One scenario of the bench for wrk: SCENARIO = products | me | place-order | order | healthz | small | cached | up | own, TOKEN = a JWT.
-- Requests are formatted once; each is then one random look-up. `order` looks at one of ORDERS of fill_orders, formatted
-- each time. Prints one line:
-- RESULT requests/s p50 p99 (milliseconds) errors
local scenario, token = os.getenv("SCENARIO"), os.getenv("TOKEN")
local requests = {}

local make = {
  healthz = function() return wrk.format("GET", "/healthz") end,
  cached = function(_, id) return wrk.format("GET", "/pages/" .. id) end,
  small = function() return wrk.format("GET", "/small") end,
  up = function() return wrk.format("GET", "/up/17") end,
  own = function(headers) return wrk.format("GET", "/own/17", headers) end,
  me = function(headers) return wrk.format("GET", "/users/me", headers) end,
  order = function() return "" end,
  products = function(headers, id) return wrk.format("GET", "/products/" .. id, headers) end,
  ["place-order"] = function(headers, id)
    headers["Content-Type"] = "application/json"
    return wrk.format("POST", "/place-order", headers, string.format('{"productId":%d,"qty":1}', id))
  end,
}

local threads = 0
function setup(thread)
  threads = threads + 1
  thread:set("number", threads)
end

function init()
  math.randomseed(os.time() * 7919 + number)
  for id = 1, 1000 do
    requests[id] = make[scenario]({ Authorization = "Bearer " .. token }, id)
  end
  request = function() return requests[math.random(1000)] end
  if scenario == "order" then request = any_order(tonumber(os.getenv("ORDERS"))) end
end

function any_order(orders)
  local text = wrk.format("GET", "/orders/@", { Authorization = "Bearer " .. token })
  local before, behind = text:match("^(.-)@(.*)$")
  return function()
    return string.format("%s%08x-0000-7000-8000-000000000000%s", before, math.random(0, orders - 1), behind)
  end
end

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %.0f %.2f %.2f %d\n", summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    e.status + e.connect + e.read + e.write + e.timeout))
end
