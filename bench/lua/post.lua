-- Orders of two different products each, spread evenly.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "counting.lua")
expected = 201
local products = 1000

function init(args)
  products = tonumber(args[1] or products)
  math.randomseed(tonumber(args[2] or 1))
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  local first = math.random(3, products - 1)
  local second = math.random(first + 1, products)
  local body = string.format('{"items": [{"product_id": %d, "quantity": 2}, {"product_id": %d, "quantity": 1}]}', first, second)
  return wrk.format(nil, nil, nil, body)
end
