-- The request is read from the file BENCH_REQUEST: a line with method and path, a line for each
-- header, an empty line, the body. The path may be followed by a number and another path, which is
-- used for one request in that number; "x16" at the end of the line sends 16 requests together. The request is built once, so that wrk sends it as fast as
-- without a script.
local file = assert(io.open(assert(os.getenv("BENCH_REQUEST")), "rb"))
local text = file:read("*a")
file:close()

local head_end, body_start = text:find("\n\n", 1, true)
local first, every, rare_path, together = true, nil, nil, nil
for line in text:sub(1, head_end - 1):gmatch("[^\n]+") do
    if first then
        line = line:gsub(" x(%d+)$", function(number)
            together = tonumber(number)
            return ""
        end)
        wrk.method, wrk.path, every, rare_path = line:match("^(%S+) (%S+) ?(%d*) ?(%S*)$")
        every = tonumber(every)
        first = false
    else
        local name, value = line:match("^([^:]+): (.*)$")
        wrk.headers[name] = value
    end
end
if body_start < #text then
    wrk.body = text:sub(body_start + 1)
end

-- "{n}" in a header is replaced by a number that changes in each request, as in a Referer.
local VARIANTS = 1000
local varying = nil
for name, value in pairs(wrk.headers) do
    if value:find("{n}", 1, true) then
        varying = name
    end
end

local function requests()
    local made = {}
    local template = varying and wrk.headers[varying]
    for n = 1, varying and VARIANTS or 1 do
        if varying then
            wrk.headers[varying] = template:gsub("{n}", n)
        end
        made[n] = wrk.format()
    end
    return made
end

-- A request that never changes is fastest without a function.
if every or varying then
    local usual, rare, count = nil, nil, 0
    function request()
        usual = usual or requests()
        rare = rare or (every and wrk.format(nil, rare_path))
        count = count + 1
        return every and count % every == 0 and rare or usual[count % #usual + 1]
    end
end

if together then
    local all = nil
    function request()
        all = all or wrk.format():rep(together)
        return all
    end
end

-- One line of JSON instead of the report of wrk, with unrounded microseconds.
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "microseconds": %d, "bytes": %d, "p50": %d, "p90": %d, "p99": %d, ' ..
        '"max": %d, "status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}\n',
        summary.requests, summary.duration, summary.bytes,
        latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max,
        errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
