-- Reads one order after the other at random.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "counting.lua")
expected = 200
local orders = 1

function init(args)
  orders = tonumber(args[1] or orders)
  math.randomseed(tonumber(args[2] or 1))
end

function request()
  return wrk.format(nil, wrk.path .. math.random(1, orders) .. "/")
end
