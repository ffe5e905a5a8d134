-- SPDX-License-Identifier: MIT
--
-- A dissector of Wireshark for tofu over TCP (docs/protocol.md): frames, text headers, streams, and which response answers which
-- request. Copy it to the personal Lua plugins (Help, About, Folders), or call `tshark -X lua_script:tofu.lua`.
--
-- A conversation is recognised by its first frame, a HelloRequest with the text header ~connect_to. "Decode as" tofu does for one
-- of which the beginning was not captured.
--
-- Filters: tofu.opcode == 0, tofu.id == 7, tofu.header.name == "~connect_to", tofu.more, tofu.response_in, tofu.time > 0.1

local tofu = Proto("tofu", "tofu messages")

local HEADER = 16
local HELLO_REQUEST = 3
local opcodes = {
	[0] = "Request", [1] = "Response", [2] = "Signal", [3] = "HelloRequest", [4] = "HelloResponse",
	[5] = "ByeRequest", [6] = "ByeResponse", [7] = "ByeSignal", [8] = "WelcomeRequest", [9] = "WelcomeResponse",
}
-- The opcode of the answer.
local answers = { [0] = 1, [3] = 4, [5] = 6 }
local requests = { [1] = 0, [4] = 3, [6] = 5 }

local f = {
	channel = ProtoField.uint16("tofu.channel", "Channel of the sender"),
	proto = ProtoField.uint8("tofu.proto", "Proto", base.HEX),
	opcode = ProtoField.uint8("tofu.opcode", "Opcode", base.DEC, opcodes, 0x0f),
	origin = ProtoField.bool("tofu.origin", "Made by an engine", 8, nil, 0x10),
	more = ProtoField.bool("tofu.more", "More of this id follow", 8, nil, 0x20),
	internal = ProtoField.uint8("tofu.internal", "Internal", base.HEX, nil, 0xc0),
	status = ProtoField.uint8("tofu.status", "Status"),
	id = ProtoField.uint64("tofu.id", "Message id"),
	headers_len = ProtoField.uint16("tofu.headers_len", "Length of text headers"),
	body_len = ProtoField.uint16("tofu.body_len", "Length of body"),
	header = ProtoField.string("tofu.header", "Text header"),
	header_name = ProtoField.string("tofu.header.name", "Name"),
	header_value = ProtoField.string("tofu.header.value", "Value"),
	body = ProtoField.bytes("tofu.body", "Body"),
	response_in = ProtoField.framenum("tofu.response_in", "Answered in", base.NONE, frametype.RESPONSE),
	response_to = ProtoField.framenum("tofu.response_to", "Answers", base.NONE, frametype.REQUEST),
	time = ProtoField.relative_time("tofu.time", "Time from request to answer"),
}
tofu.fields = f

local e = {
	opcode = ProtoExpert.new("tofu.bad_opcode", "No such opcode", expert.group.PROTOCOL, expert.severity.ERROR),
	bits = ProtoExpert.new("tofu.bad_bits", "A bit that no peer may set", expert.group.PROTOCOL, expert.severity.ERROR),
	more = ProtoExpert.new("tofu.bad_more", "More on a message that is not regular", expert.group.PROTOCOL, expert.severity.ERROR),
	header = ProtoExpert.new("tofu.bad_header", "A line that is no text header", expert.group.MALFORMED, expert.severity.WARN),
}
tofu.experts = { e.opcode, e.bits, e.more, e.header }

-- The packet whose summary has begun: it may have several frames.
local summarised

-- By connection, opcode and id: where requests and their answers are. Filled by the first pass over the capture.
local asked, answered = {}, {}

function tofu.init()
	asked, answered = {}, {}
end

local function trim(text)
	return (text:gsub("^[ \t]+", ""):gsub("[ \t]+$", ""))
end

local function text_headers(tree, range)
	local text, at = range:raw(), 1
	while at <= #text do
		local line_end, next_line = text:find("\r\n", at, true)
		local line = text:sub(at, (line_end or #text + 1) - 1)
		local name, value = line:match("^([^:]*):(.*)$")
		if #line > 0 then
			local here = range(at - 1, #line)
			local branch = tree:add(f.header, here, line)
			if name and #trim(name) > 0 then
				branch:add(f.header_name, here(0, #name), trim(name))
				branch:add(f.header_value, here(#name + 1 <= #line - 1 and #name + 1 or #line - 1), trim(value))
			else
				branch:add_proto_expert_info(e.header)
			end
		end
		at = (next_line or #text) + 1
	end
end

-- The same in both directions. (The field tcp.stream is not there in the first of two passes.)
local function connection(pinfo)
	local one = tostring(pinfo.src) .. " " .. pinfo.src_port
	local other = tostring(pinfo.dst) .. " " .. pinfo.dst_port
	return one < other and one .. " " .. other or other .. " " .. one
end

-- Which answer belongs to which request; messages of a stream count as one, by their first.
local function conversation(tree, pinfo, opcode, id)
	local key = connection(pinfo) .. " " .. (requests[opcode] or opcode) .. " " .. tostring(id)
	if answers[opcode] then
		if not pinfo.visited and not asked[key] then
			asked[key] = { frame = pinfo.number, time = pinfo.abs_ts }
		end
		if answered[key] then
			tree:add(f.response_in, answered[key].frame):set_generated()
		end
	elseif requests[opcode] and asked[key] then
		if not pinfo.visited and not answered[key] then
			answered[key] = { frame = pinfo.number }
		end
		tree:add(f.response_to, asked[key].frame):set_generated()
		local seconds = pinfo.abs_ts - asked[key].time
		tree:add(f.time, NSTime.new(math.floor(seconds), math.floor((seconds % 1) * 1e9 + 0.5))):set_generated()
	end
end

local function dissect_frame(buffer, pinfo, root)
	local headers_len, body_len = buffer(12, 2):uint(), buffer(14, 2):uint()
	local proto = buffer(2, 1):uint()
	local opcode, id = proto % 16, buffer(4, 8):uint64()
	local name = opcodes[opcode] or ("opcode " .. opcode)
	local tree = root:add(tofu, buffer(), "tofu " .. name .. ", id " .. tostring(id))

	tree:add(f.channel, buffer(0, 2))
	local bits = tree:add(f.proto, buffer(2, 1))
	local opcode_item = bits:add(f.opcode, buffer(2, 1))
	bits:add(f.origin, buffer(2, 1))
	local more_item = bits:add(f.more, buffer(2, 1))
	bits:add(f.internal, buffer(2, 1))
	local more = proto % 64 >= 32
	if opcode > 7 then
		opcode_item:add_proto_expert_info(e.opcode)
	end
	if proto >= 64 or proto % 32 >= 16 then
		bits:add_proto_expert_info(e.bits)
	end
	if more and opcode > 2 then
		more_item:add_proto_expert_info(e.more)
	end
	tree:add(f.status, buffer(3, 1))
	tree:add(f.id, buffer(4, 8))
	tree:add(f.headers_len, buffer(12, 2))
	tree:add(f.body_len, buffer(14, 2))
	if headers_len > 0 then
		text_headers(tree, buffer(HEADER, headers_len))
	end
	if body_len > 0 then
		tree:add(f.body, buffer(HEADER + headers_len, body_len))
	end
	conversation(tree, pinfo, opcode, id)

	local info = name .. " id=" .. tostring(id) .. (more and " more" or "") .. (body_len > 0 and (" body=" .. body_len) or "")
	pinfo.cols.protocol = "tofu"
	if summarised == pinfo.number then
		pinfo.cols.info:append("; " .. info)
	else
		pinfo.cols.info = info
	end
	summarised = pinfo.number
	return HEADER + headers_len + body_len
end

local function frame_len(buffer, _, offset)
	return HEADER + buffer(offset + 12, 2):uint() + buffer(offset + 14, 2):uint()
end

function tofu.dissector(buffer, pinfo, root)
	dissect_tcp_pdus(buffer, root, HEADER, frame_len, dissect_frame)
	return buffer:len()
end

-- The first frame of a connection.
local function is_ours(buffer, pinfo, root)
	if buffer:len() < HEADER or buffer(2, 1):uint() ~= HELLO_REQUEST or buffer(3, 1):uint() ~= 0 then
		return false
	end
	local available = math.min(buffer(12, 2):uint(), buffer:len() - HEADER)
	if available < 12 or not buffer(HEADER, available):raw():find("~connect_to", 1, true) then
		return false
	end
	tofu.dissector(buffer, pinfo, root)
	pinfo.conversation = tofu
	return true
end

tofu:register_heuristic("tcp", is_ours)
DissectorTable.get("tcp.port"):add_for_decode_as(tofu)
