-- Orders of two different products each, spread evenly; counts the 201s and everything else.
local products = 1000
local counted, wrong, threads = 0, 0, {}

function setup(thread) table.insert(threads, thread) end

function init(args)
  products = tonumber(args[1] or products)
  math.randomseed(tonumber(args[2] or 1))
  answered, refused = 0, 0
  wrk.method = "POST"
  wrk.headers["Content-Type"] = "application/json"
end

function request()
  local first = math.random(3, products - 1)
  local second = math.random(first + 1, products)
  local body = string.format('{"items": [{"product_id": %d, "quantity": 2}, {"product_id": %d, "quantity": 1}]}', first, second)
  return wrk.format(nil, nil, nil, body)
end

function response(status)
  if status == 201 then answered = answered + 1 else refused = refused + 1 end
end

function done(summary, latency, requests)
  for _, thread in ipairs(threads) do
    counted = counted + thread:get("answered")
    wrong = wrong + thread:get("refused")
  end
  local errors = summary.errors
  wrong = wrong + errors.connect + errors.read + errors.write + errors.timeout
  io.write(string.format("counted %d wrong %d seconds %f\n", counted, wrong, summary.duration / 1e6))
end
