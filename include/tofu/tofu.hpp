/* SPDX-License-Identifier: MIT */
#ifndef TOFU_TOFU_HPP
#define TOFU_TOFU_HPP

/*
 * libtofu for C++17 and later: a thin layer over the C functions, of which tofu(7) and the other pages tell the meaning. It owns what
 * they hand out, takes times as std::chrono durations, and throws tofu::error for each status that is not TOFU_OK. It holds nothing
 * besides a pointer and needs no library of its own.
 *
 *     tofu::library library;
 *     tofu::engine engine;
 *     engine.add(tofu_tcp());
 *     tofu::group group(engine);
 *     auto channel = group.connect("tcp|127.0.0.1|4000");
 *     for (;;) {
 *             tofu::message msg = group.receive();
 *             ...
 *     }
 *
 * Threads: as the C functions: one at a time for a message; any for engines and groups, one at a time to receive from a group.
 */

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <tofu/tofu.h>

namespace tofu
{

/** A status that is not TOFU_OK. what() is tofu_strerror(), with what it is about, if that is known. */
class error : public std::exception
{
      public:
	explicit error(enum tofu_status status, std::string_view about = {}) : status_(status)
	{
		if (!about.empty())
			text_.append(about).append(": ");
		text_.append(tofu_strerror(status));
	}

	enum tofu_status status() const noexcept
	{
		return status_;
	}

	const char *what() const noexcept override
	{
		return text_.c_str();
	}

      private:
	enum tofu_status status_;
	std::string text_;
};

/** Throw what a status stands for, unless it is TOFU_OK. */
inline void check(enum tofu_status status, std::string_view about = {})
{
	if (status != TOFU_OK)
		throw error(status, about);
}

/** The library is in use as long as one of these lives: tofu_init() and tofu_deinit(). */
class library
{
      public:
	library()
	{
		check(tofu_init(), "tofu_init");
	}

	~library()
	{
		tofu_deinit();
	}

	library(const library &) = delete;
	library &operator=(const library &) = delete;
};

/** For ever, where a time-out is asked for. */
inline constexpr std::chrono::nanoseconds for_ever{ -1 };

/** Bytes of a message: valid until it changes. */
struct bytes {
	const unsigned char *data;
	std::size_t size;

	const unsigned char *begin() const noexcept
	{
		return data;
	}

	const unsigned char *end() const noexcept
	{
		return data + size;
	}

	std::string_view text() const noexcept
	{
		return { reinterpret_cast<const char *>(data), size };
	}
};

/** A text header of a message: views, valid until its text headers change. */
struct text_header {
	std::string_view name;
	std::string_view value;
};

/**
 * A message, or none: after it was moved from, posted, or put back. All but the moves, bool and put() needs one. What changes it
 * gives it back, so that calls can follow each other: post(engine.make().connect_to(address)).
 */
class message
{
      public:
	message() noexcept = default;

	/** Take over one that a C function has handed out. */
	explicit message(tofu_msg *msg) noexcept : msg_(msg)
	{
	}

	~message()
	{
		put();
	}

	message(const message &) = delete;
	message &operator=(const message &) = delete;

	message(message &&other) noexcept : msg_(std::exchange(other.msg_, nullptr))
	{
	}

	message &operator=(message &&other) noexcept
	{
		if (this != &other) {
			put();
			msg_ = std::exchange(other.msg_, nullptr);
		}
		return *this;
	}

	explicit operator bool() const noexcept
	{
		return msg_ != nullptr;
	}

	/** Give it back to its pool now. */
	void put() noexcept
	{
		tofu_msg_put(&msg_);
	}

	/** The C library's pointer, still this object's; and the same, no more this object's. */
	tofu_msg *get() const noexcept
	{
		return msg_;
	}

	tofu_msg *release() noexcept
	{
		return std::exchange(msg_, nullptr);
	}

	/** Where a C function may put a message, or take it from. */
	tofu_msg **address() noexcept
	{
		return &msg_;
	}

	struct tofu_header *header() const noexcept
	{
		return tofu_msg_header(msg_);
	}

	const struct tofu_header *operator->() const noexcept
	{
		return header();
	}

	enum tofu_opcode opcode() const noexcept
	{
		return static_cast<enum tofu_opcode>(header()->opcode);
	}

	enum tofu_status status() const noexcept
	{
		return static_cast<enum tofu_status>(header()->status);
	}

	/** The engine made it, or gives it back. */
	bool is_notice() const noexcept
	{
		return header()->origin == TOFU_ORIGIN_ENGINE;
	}

	/** Nothing more comes on its channel; header()->reason says why. */
	bool is_last_word() const noexcept
	{
		return header()->reason != TOFU_OK;
	}

	bytes body() const noexcept
	{
		std::size_t size;
		const void *data = tofu_msg_body(msg_, &size);

		return { static_cast<const unsigned char *>(data), size };
	}

	std::string_view text() const noexcept
	{
		return body().text();
	}

	message &body(std::string_view text) &
	{
		check(tofu_msg_body_set(msg_, text.data(), text.size()));
		return *this;
	}

	message body(std::string_view text) &&
	{
		return std::move(body(text));
	}

	message &body(const void *data, std::size_t size) &
	{
		check(tofu_msg_body_set(msg_, data, size));
		return *this;
	}

	message body(const void *data, std::size_t size) &&
	{
		return std::move(body(data, size));
	}

	message &append(std::string_view text) &
	{
		check(tofu_msg_body_append(msg_, text.data(), text.size()));
		return *this;
	}

	message append(std::string_view text) &&
	{
		return std::move(append(text));
	}

	/** A body of that size, to be filled in place. */
	unsigned char *reserve(std::size_t size)
	{
		void *at;

		check(tofu_msg_body_reserve(msg_, size, &at));
		return static_cast<unsigned char *>(at);
	}

	message &add(const std::string &name, const std::string &value) &
	{
		check(tofu_msg_headers_add(msg_, name.c_str(), value.c_str()), name);
		return *this;
	}

	message add(const std::string &name, const std::string &value) &&
	{
		return std::move(add(name, value));
	}

	/** The value of the first text header of that name. */
	std::optional<std::string_view> find(const std::string &name) const noexcept
	{
		std::size_t size;
		const char *value = tofu_msg_headers_find(msg_, name.c_str(), &size);

		return value != nullptr ? std::optional<std::string_view>({ value, size }) : std::nullopt;
	}

	std::vector<text_header> headers() const
	{
		std::vector<text_header> all;
		struct tofu_text_header h;

		for (std::size_t at = 0; (at = tofu_msg_headers_next(msg_, at, &h)) != 0;)
			all.push_back({ { h.name, h.name_len }, { h.value, h.value_len } });
		return all;
	}

	/** A HelloRequest to that address; a WelcomeRequest for that address. */
	message &connect_to(const std::string &address) &
	{
		check(tofu_msg_connect_to(msg_, address.c_str()), address);
		return *this;
	}

	message connect_to(const std::string &address) &&
	{
		return std::move(connect_to(address));
	}

	message &listen_on(const std::string &address) &
	{
		check(tofu_msg_listen_on(msg_, address.c_str()), address);
		return *this;
	}

	message listen_on(const std::string &address) &&
	{
		return std::move(listen_on(address));
	}

	/** Make a request the response to it. Throws TOFU_INVALID_OP_CODE for what is no request. */
	message &answer() &
	{
		int opcode = tofu_opcode_role(header()->opcode) == TOFU_ROLE_REQUEST
		                     ? tofu_opcode_echo(header()->opcode)
		                     : -1;

		check(opcode >= 0 ? TOFU_OK : TOFU_INVALID_OP_CODE);
		header()->opcode = static_cast<std::uint8_t>(opcode);
		return *this;
	}

	message answer() &&
	{
		return std::move(answer());
	}

	message clone() const
	{
		message copy;

		check(tofu_msg_clone(msg_, copy.address()));
		return copy;
	}

	/** A copy that shares the body. */
	message share()
	{
		message copy;

		check(tofu_msg_share(msg_, copy.address()));
		return copy;
	}

	void reset() noexcept
	{
		tofu_msg_reset(msg_);
	}

      private:
	tofu_msg *msg_ = nullptr;
};

/** The defaults of an engine, to be changed. */
inline struct tofu_options options() noexcept
{
	struct tofu_options o;

	tofu_options_init(&o, sizeof o);
	return o;
}

/** An engine. It ends all of its channels when it is destroyed. */
class engine
{
      public:
	engine()
	{
		check(tofu_engine_create(nullptr, &engine_), "tofu_engine_create");
	}

	explicit engine(const struct tofu_options &options)
	{
		check(tofu_engine_create(&options, &engine_), "tofu_engine_create");
	}

	~engine()
	{
		tofu_engine_destroy(engine_);
	}

	engine(const engine &) = delete;
	engine &operator=(const engine &) = delete;

	engine(engine &&other) noexcept : engine_(std::exchange(other.engine_, nullptr))
	{
	}

	engine &operator=(engine &&other) noexcept
	{
		std::swap(engine_, other.engine_);
		return *this;
	}

	tofu_engine *get() const noexcept
	{
		return engine_;
	}

	/** Let it speak a transport, which has to live as long as the engine. */
	engine &add(const struct tofu_transport *transport)
	{
		check(tofu_engine_register(engine_, transport), "tofu_engine_register");
		return *this;
	}

	/** An empty Request. */
	message make(enum tofu_alloc from = TOFU_ALWAYS)
	{
		message msg;

		check(tofu_msg_get(engine_, from, msg.address()));
		return msg;
	}

	struct tofu_stats stats() const
	{
		struct tofu_stats s = {};

		s.size = sizeof s;
		check(tofu_engine_stats(engine_, &s));
		return s;
	}

	/** Work for an engine that its callers drive. False: nothing has happened in that time. */
	bool run(std::chrono::nanoseconds timeout = for_ever)
	{
		enum tofu_status status = tofu_engine_run(engine_, timeout.count());

		if (status != TOFU_TIMEOUT)
			check(status, "tofu_engine_run");
		return status == TOFU_OK;
	}

      private:
	tofu_engine *engine_ = nullptr;
};

/** A mailbox of an engine. It can be destroyed after the engine; all else needs the engine. */
class group
{
      public:
	explicit group(engine &engine) : engine_(engine.get())
	{
		check(tofu_group_create(engine.get(), &group_), "tofu_group_create");
	}

	~group()
	{
		if (group_ != nullptr)
			(void)tofu_group_destroy(group_);
	}

	group(const group &) = delete;
	group &operator=(const group &) = delete;

	group(group &&other) noexcept : engine_(other.engine_), group_(std::exchange(other.group_, nullptr))
	{
	}

	group &operator=(group &&other) noexcept
	{
		std::swap(engine_, other.engine_);
		std::swap(group_, other.group_);
		return *this;
	}

	tofu_group *get() const noexcept
	{
		return group_;
	}

	/** An empty Request. */
	message make(enum tofu_alloc from = TOFU_ALWAYS)
	{
		message msg;

		check(tofu_msg_get(engine_, from, msg.address()));
		return msg;
	}

	/** Hand over a message. When it throws, the message is still the caller's. */
	struct tofu_header post(message &msg)
	{
		struct tofu_header header;

		check(tofu_post(group_, msg.address(), &header), "tofu_post");
		return header;
	}

	struct tofu_header post(message &&msg)
	{
		return post(msg);
	}

	/** The same without an exception. *header_or_null is the final header. */
	enum tofu_status try_post(message &msg, struct tofu_header *header_or_null = nullptr) noexcept
	{
		return tofu_post(group_, msg.address(), header_or_null);
	}

	/** The next message. */
	message receive()
	{
		message msg;

		check(tofu_receive(group_, msg.address(), -1), "tofu_receive");
		return msg;
	}

	/** The next message, or none in that time. */
	message receive_for(std::chrono::nanoseconds timeout)
	{
		message msg;
		enum tofu_status status = tofu_receive(group_, msg.address(), timeout.count());

		if (status != TOFU_TIMEOUT)
			check(status, "tofu_receive");
		return msg;
	}

	/** Say hello to an address / listen on one: the channel. What comes of it is received. */
	std::uint16_t connect(const std::string &address)
	{
		return post(make().connect_to(address)).channel;
	}

	std::uint16_t listen(const std::string &address)
	{
		return post(make().listen_on(address)).channel;
	}

	/** Post a message of this opcode with a text as its body. Its id. */
	std::uint64_t send(std::uint16_t channel, std::string_view text, enum tofu_opcode opcode = TOFU_REQUEST)
	{
		message msg = make();

		msg.header()->channel = channel;
		msg.header()->opcode = static_cast<std::uint8_t>(opcode);
		msg.body(text);
		return post(msg).id;
	}

	std::uint64_t bye(std::uint16_t channel)
	{
		return send(channel, {}, TOFU_BYE_REQUEST);
	}

	/** False: not all that was posted is sent or given back in that time. */
	bool drain(std::chrono::nanoseconds timeout = for_ever)
	{
		enum tofu_status status = tofu_group_drain(group_, timeout.count());

		if (status != TOFU_TIMEOUT)
			check(status, "tofu_group_drain");
		return status == TOFU_OK;
	}

	void interrupt()
	{
		check(tofu_group_interrupt(group_), "tofu_group_interrupt");
	}

	struct tofu_channel_info inspect(std::uint16_t channel) const
	{
		struct tofu_channel_info info = {};

		info.size = sizeof info;
		check(tofu_channel_inspect(group_, channel, &info), "tofu_channel_inspect");
		return info;
	}

      private:
	tofu_engine *engine_;
	tofu_group *group_ = nullptr;
};

} // namespace tofu

#endif
