-- One scenario of the bench for wrk: SCENARIO = products | me | place-order | order | healthz | small | cached | up | own | create, TOKEN = a JWT.
-- Requests are formatted once; each is then one random look-up. `order` looks at one of ORDERS of fill_orders, formatted
-- each time, as are data-get, data-list, data-create, data-patch (of DATA_DOCUMENTS) and transfer (of ACCOUNTS). Prints one line:
-- RESULT requests/s p50 p99 (milliseconds) errors
local scenario, token = os.getenv("SCENARIO"), os.getenv("TOKEN")
local requests, anew = {}, {}

local make = {
  healthz = function() return wrk.format("GET", "/healthz") end,
  cached = function(_, id) return wrk.format("GET", "/pages/" .. id) end,
  small = function() return wrk.format("GET", "/small") end,
  up = function() return wrk.format("GET", "/up/17") end,
  own = function(headers) return wrk.format("GET", "/own/17", headers) end,
  me = function(headers) return wrk.format("GET", "/users/me", headers) end,
  products = function(headers, id) return wrk.format("GET", "/products/" .. id, headers) end,
  create = function(_, id)
    return wrk.format("POST", "/api/v1/collections/events", { ["Content-Type"] = "application/json" },
      string.format('{"number":%d,"text":"%s"}', id, string.rep("x", 200)))
  end,
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
  if anew[scenario] then
    request = anew[scenario]({ Authorization = "Bearer " .. token, ["Content-Type"] = "application/json" })
    return
  end
  for id = 1, 1000 do
    requests[id] = make[scenario]({ Authorization = "Bearer " .. token }, id)
  end
  request = function() return requests[math.random(1000)] end
end

-- ---- Requests that are formatted each time

-- A function that puts what `values` returns into the places of `body` and `path`.
local function fill_in(method, path, headers, body, values)
  return function() return wrk.format(method, path:format(values()), headers, body) end
end

local function orders(headers)
  local all = tonumber(os.getenv("ORDERS"))
  return fill_in("GET", "/orders/%08x-0000-7000-8000-000000000000", headers, nil,
    function() return math.random(0, all - 1) end)
end

local function any_document() return math.random(0, tonumber(os.getenv("DATA_DOCUMENTS")) - 1) end
local documents = "/api/v1/collections/documents"
local made = 0

anew = {
  order = orders,
  ["data-get"] = function(headers) return fill_in("GET", documents .. "/d%08d", headers, nil, any_document) end,
  ["data-list"] = function(headers)
    return fill_in("GET", documents .. "?limit=20&sort=group,rank&filter=group%%20=%%20%%22g%d%%22", headers, nil,
      function() return math.random(0, 999) end)
  end,
  ["data-create"] = function(headers)
    local text = string.rep("The quick brown fox jumps over the lazy dog. ", 4)
    local run = math.random(0, 0xfffffff)
    return function()
      made = made + 1
      return wrk.format("POST", documents, headers, string.format(
        '{"id":"n%07x-%d-%d","group":"g%d","rank":%d,"count":0,"title":"A new one","text":"%s"}',
        run, number, made, math.random(0, 999), math.random(0, 1000000), text))
    end
  end,
  ["data-patch"] = function(headers)
    headers["Content-Type"] = "application/vnd.galley.ops+json"
    return fill_in("PATCH", documents .. "/d%08d", headers, '{"$inc":{"count":1},"$if":"count < 1000000"}', any_document)
  end,
  transfer = function(headers)
    local step = '{"op":"patch","type":"ops","collection":"accounts","id":"a%06d","patch":{"$inc":{"balance":%d},"$if":"balance >= %d"}}'
    local all = tonumber(os.getenv("ACCOUNTS"))
    return function()
      local from = math.random(0, all - 1)
      local to = (from + math.random(1, all - 1)) % all
      return wrk.format("POST", "/api/v1/transactions", headers, '{"operations":[' .. step:format(from, -5, 5) .. "," ..
        step:format(to, 5, 0) .. "]}")
    end
  end,
}

function done(summary, latency)
  local e = summary.errors
  io.write(string.format("RESULT %.0f %.2f %.2f %d\n", summary.requests / (summary.duration / 1e6),
    latency:percentile(50) / 1000, latency:percentile(99) / 1000,
    e.status + e.connect + e.read + e.write + e.timeout))
end
