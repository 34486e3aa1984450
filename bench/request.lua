-- The request is read from the file that BENCH_REQUEST names: method and path, one
-- header a line, an empty line, the body. It is put together once, so that wrk sends
-- it as fast as a request without a script.
local file = assert(io.open(assert(os.getenv("BENCH_REQUEST")), "rb"))
local text = file:read("*a")
file:close()

local head_end, body_start = text:find("\n\n", 1, true)
local first = true
for line in text:sub(1, head_end - 1):gmatch("[^\n]+") do
    if first then
        wrk.method, wrk.path = line:match("^(%S+) (%S+)$")
        first = false
    else
        local name, value = line:match("^([^:]+): (.*)$")
        wrk.headers[name] = value
    end
end
if body_start < #text then
    wrk.body = text:sub(body_start + 1)
end

-- One line of JSON instead of wrk's report: microseconds, not rounded.
function done(summary, latency, requests)
    local errors = summary.errors
    io.write(string.format(
        '{"requests": %d, "microseconds": %d, "bytes": %d, "p50": %d, "p90": %d, "p99": %d, ' ..
        '"max": %d, "status": %d, "connect": %d, "read": %d, "write": %d, "timeout": %d}\n',
        summary.requests, summary.duration, summary.bytes,
        latency:percentile(50), latency:percentile(90), latency:percentile(99), latency.max,
        errors.status, errors.connect, errors.read, errors.write, errors.timeout))
end
