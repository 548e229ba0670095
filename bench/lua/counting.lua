-- What the scripts share: counts the answers with the status that is `expected`, and everything else.
local threads = {}
answered, refused = 0, 0

function setup(thread) table.insert(threads, thread) end

function response(status)
  if status == expected then answered = answered + 1 else refused = refused + 1 end
end

function done(summary, latency, requests)
  local errors = summary.errors
  local counted, wrong = 0, errors.connect + errors.read + errors.write + errors.timeout
  for _, thread in ipairs(threads) do
    counted = counted + thread:get("answered")
    wrong = wrong + thread:get("refused")
  end
  io.write(string.format("counted %d wrong %d seconds %f\n", counted, wrong, summary.duration / 1e6))
end
