-- Reads the newest orders, the first page; counts the 200s and everything else.
local counted, wrong, threads = 0, 0, {}

function setup(thread) table.insert(threads, thread) end

function init(args) answered, refused = 0, 0 end

function response(status)
  if status == 200 then answered = answered + 1 else refused = refused + 1 end
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
