-- SPDX-License-Identifier: Apache-2.0
-- Questions out of CF_QUESTIONS.1, .2, ... (support/growing.py), the newest 2,000 at random, until CF_CALLS
-- of them are answered.  Each answer is a line of CF_ANSWERS: number of the question, microseconds when it was
-- sent and how long it took, HTTP status, the block it was pinned to, receipt, body.
local ffi = require("ffi")
ffi.cdef [[
struct cf_time { long s; long ns; };
int clock_gettime(int, struct cf_time *);
int getpid(void);
int kill(int, int);
]]
local KEPT = 2000
local LOOK = 64 -- requests between two looks for new questions
local FIELDS = { "Counterfoil-Pinned", "Counterfoil-Receipt" }
local instant = ffi.new("struct cf_time")
local questions, newest, made, answered, file, wanted = {}, 0, 0, 0, 0, 0
local out

local function now()
	ffi.C.clock_gettime(1, instant)
	return tonumber(instant.s) * 1000000 + math.floor(tonumber(instant.ns) / 1000)
end

local function look()
	while true do
		local lines = io.open(os.getenv("CF_QUESTIONS") .. "." .. (file + 1))
		if not lines then
			return
		end
		file = file + 1
		for line in lines:lines() do
			newest = newest + 1
			questions[(newest - 1) % KEPT + 1] = line
		end
		lines:close()
	end
end

function init(args)
	wrk.headers["Content-Type"] = "application/json"
	math.randomseed(tonumber(os.getenv("CF_SEED")))
	wanted = tonumber(os.getenv("CF_CALLS"))
	out = io.open(os.getenv("CF_ANSWERS"), "w")
	look()
end

function request()
	made = made + 1
	if made % LOOK == 0 then
		look()
	end
	local n, call = questions[math.random(math.min(newest, KEPT))]:match("^(%d+)\t(.*)$")
	return wrk.format("POST", "/", nil, string.format('{"jsonrpc":"2.0","id":"%s.%.0f",%s}', n, now(), call))
end

function response(status, headers, body)
	if answered == wanted then
		return -- what came before it stopped
	end
	local n, sent = body:match('"id":%s*"(%d+)%.(%d+)"')
	local line = { n or "-", sent or "-", sent and string.format("%.0f", now() - tonumber(sent)) or "-", status }
	for _, field in ipairs(FIELDS) do
		line[#line + 1] = headers[field] or "-"
	end
	line[#line + 1] = (body:gsub("[\t\n]", " "))
	out:write(table.concat(line, "\t"), "\n")
	answered = answered + 1
	if answered == wanted then
		out:close()
		ffi.C.kill(ffi.C.getpid(), 2) -- which ends it: its own threads' end does not
	end
end

function done(summary, latency, requests)
	local e = summary.errors
	io.write(string.format('RESULT {"failed":%d,"seconds":%.3f}\n', e.connect + e.read + e.write + e.timeout,
		summary.duration / 1e6))
end
