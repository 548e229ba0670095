-- Reads the newest orders, the first page.
dofile(debug.getinfo(1, "S").source:match("@(.*/)") .. "counting.lua")
expected = 200
