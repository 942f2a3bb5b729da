-- mixed.lua: for wrk: one request of each kind after the other. Whatever is not 2xx counts as lost.
local requests = {}
local turn = 0

function init()
    local json = { ["Content-Type"] = "application/json" }
    requests = {
        wrk.format("GET", "/"),
        wrk.format("GET", "/books/1", { ["Accept-Encoding"] = "gzip" }),
        wrk.format("GET", "/api/books"),
        wrk.format("GET", "/fanout/"),
        wrk.format("POST", "/notes/", json, '{"text": "under load"}'),
        wrk.format("GET", "/notes/1"),
        wrk.format("GET", "/sleep?ms=5"),
    }
end

function request()
    turn = turn % #requests + 1
    return requests[turn]
end
