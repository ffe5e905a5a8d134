/* SPDX-License-Identifier: MIT */

/* <tofu/tofu.hpp>: ownership by moves, talk, time-outs, and what is thrown. Ends with 0, or says what does not hold. */

#include <tofu/tcp.h>
#include <tofu/tofu.hpp>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <thread>
#include <type_traits>

#define HOLDS(condition) holds((condition), #condition, __LINE__)

using namespace std::chrono_literals;

static void holds(bool condition, const char *text, int line)
{
	if (condition)
		return;
	std::fprintf(stderr, "line %d: %s does not hold\n", line, text);
	std::exit(1);
}

template <typename F> static enum tofu_status thrown(F f)
{
	try {
		f();
	} catch (const tofu::error &e) {
		return e.status();
	}
	return TOFU_OK;
}

static_assert(!std::is_copy_constructible_v<tofu::message> && std::is_nothrow_move_constructible_v<tofu::message>);
static_assert(!std::is_copy_constructible_v<tofu::engine> && !std::is_copy_constructible_v<tofu::group>);

static void a_message_has_one_owner(tofu::engine &engine)
{
	tofu::message first = engine.make().body("x");
	tofu::message second = std::move(first);

	HOLDS(second && second.text() == "x" && engine.stats().messages_out == 1);
	second = engine.make(TOFU_POOL_ONLY);
	HOLDS(engine.stats().messages_out == 1);
	second.put();
	HOLDS(!second && engine.stats().messages_out == 0);
}

static void contents(tofu::engine &engine)
{
	tofu::message msg = engine.make();

	msg.body("a\0b").append("c").add("a", "1").add("b", "2");
	HOLDS(msg.text() == "ac" && msg.headers().size() == 2 && msg.headers()[1].value == "2");
	HOLDS(*msg.find("a") == "1" && !msg.find("c"));
	msg.reserve(3)[2] = 'z';
	HOLDS(msg.body().size == 3 && msg.body().begin()[2] == 'z');
	HOLDS(msg.clone().text() == msg.text() && msg.share().headers().size() == 2);
	HOLDS(thrown([&] { msg.add("a:b", "1"); }) == TOFU_INVALID_MESSAGE);
	HOLDS(thrown([&] { msg.connect_to("tcp|nowhere"); }) == TOFU_INVALID_ADDRESS);
	msg.header()->opcode = TOFU_SIGNAL;
	HOLDS(thrown([&] { msg.answer(); }) == TOFU_INVALID_OP_CODE);
}

static void talk(tofu::engine &engine)
{
	tofu::group server(engine), client(engine);

	server.listen("tcp|127.0.0.1|0");
	tofu::message msg = server.receive();
	std::uint16_t channel = client.connect(std::string(*msg.find("~listen_on")));
	msg = server.receive();
	HOLDS(msg.opcode() == TOFU_HELLO_REQUEST && !msg.is_notice());
	server.post(msg.answer());
	HOLDS(!msg && client.receive()->opcode == TOFU_HELLO_RESPONSE);

	std::uint64_t id = client.send(channel, "What is tofu?");
	msg = server.receive();
	HOLDS(msg.text() == "What is tofu?");
	server.post(std::move(msg.answer().body("Bean curd.")));
	msg = client.receive();
	HOLDS(msg->id == id && msg->channel == channel && msg.text() == "Bean curd.");
	HOLDS(client.inspect(channel).state == TOFU_CHANNEL_OPEN && client.drain(10s));

	client.bye(channel);
	msg = server.receive();
	server.post(msg.answer());
	HOLDS(client.receive().opcode() == TOFU_BYE_RESPONSE && client.receive().is_last_word());
	msg = engine.make();
	msg.header()->channel = channel;
	HOLDS(thrown([&] { client.post(msg); }) != TOFU_OK && msg);
	HOLDS(client.try_post(msg) != TOFU_OK && msg);
}

static void waits(tofu::engine &engine)
{
	tofu::group group(engine);

	HOLDS(!group.receive_for(1ms));
	group.interrupt();
	HOLDS(thrown([&] { group.receive(); }) == TOFU_INTERRUPTED);
	std::thread other([&] { group.interrupt(); });
	HOLDS(thrown([&] { group.receive_for(10s); }) == TOFU_INTERRUPTED);
	other.join();
}

static void ends_in_any_order()
{
	auto engine = std::make_unique<tofu::engine>();
	tofu::group group(*engine);
	tofu::message msg = engine->make().body("outlives its engine");

	engine.reset();
	HOLDS(thrown([&] { group.receive(); }) == TOFU_SHUTDOWN_STARTED);
	HOLDS(msg.text() == "outlives its engine");
}

int main()
{
	HOLDS(thrown([] { tofu::engine early; }) == TOFU_NOT_INITIALIZED);

	tofu::library library;
	struct tofu_options options = tofu::options();
	options.pool_initial = 8;
	tofu::engine engine(options);

	engine.add(tofu_tcp());
	a_message_has_one_owner(engine);
	contents(engine);
	talk(engine);
	waits(engine);
	ends_in_any_order();
}
