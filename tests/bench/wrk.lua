-- SPDX-License-Identifier: Apache-2.0
-- Distinct eth_getBalance calls; with CF_TOKENS (a file) each on the path of the next token; with
-- CF_SAME (a method and its parameters) the same call again and again.
local number = math.random(0)
local paths = { "/" }
local calls = 0
local again

function setup(thread)
	thread:set("first", os.time() % 100000)
end

function init(args)
	local name = os.getenv("CF_TOKENS")
	if name then
		paths = {}
		for line in io.lines(name) do
			paths[#paths + 1] = "/eth/" .. line:match("^(%S+)")
		end
	end
	wrk.headers["Content-Type"] = "application/json"
	local same = os.getenv("CF_SAME")
	if same then
		local method, params = same:match("^(%S+) (.*)$")
		again = wrk.format("POST", "/", nil, string.format('{"jsonrpc":"2.0","id":1,"method":"%s","params":%s}', method, params))
	end
	number = first * 10000000
end

function request()
	if again then
		return again
	end
	calls = calls + 1
	local body = string.format('{"jsonrpc":"2.0","id":1,"method":"eth_getBalance","params":["0x%040x","latest"]}',
		number + calls)
	return wrk.format("POST", paths[calls % #paths + 1], nil, body)
end

function response(status, headers, body)
	if status ~= 200 or not body:find('"result"', 1, true) then
		bad = (bad or 0) + 1
	end
end

local threads = {}
local base_setup = setup
function setup(thread)
	base_setup(thread)
	threads[#threads + 1] = thread
end

function done(summary, latency, requests)
	local wrong = 0
	for _, thread in ipairs(threads) do
		wrong = wrong + (thread:get("bad") or 0)
	end
	local e = summary.errors
	io.write(string.format('RESULT {"requests":%d,"seconds":%.6f,"p50_us":%.1f,"p99_us":%.1f,"failed":%d,"wrong":%d}\n',
		summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
		e.connect + e.read + e.write + e.timeout, wrong))
end
