# SPDX-License-Identifier: MIT
"""Messages: contents, ownership, and what is refused."""

import gc
import unittest

from common import Case, tofu


class Contents(Case):
    def test_a_new_message_is_an_empty_request(self):
        msg = self.engine().message()
        self.assertEqual((msg.opcode, msg.body, msg.headers, msg.more, msg.channel, msg.id), (tofu.Opcode.REQUEST, b"", [], False, 0, 0))

    def test_text_is_sent_as_utf_8(self):
        msg = self.engine().message("grüße")
        self.assertEqual(msg.body, "grüße".encode())
        self.assertEqual(len(msg), 7)

    def test_a_body_is_any_bytes(self):
        msg = self.engine().message(bytes(range(256)))
        msg.append(memoryview(b"\0more"))
        self.assertEqual(msg.body, bytes(range(256)) + b"\0more")

    def test_headers_keep_their_order_and_may_repeat(self):
        msg = self.engine().message().add("a", "1").add("b", "2").add("a", "3")
        self.assertEqual(msg.headers, [("a", "1"), ("b", "2"), ("a", "3")])
        self.assertEqual(msg.get("a"), "1")
        self.assertIsNone(msg.get("c"))
        self.assertEqual(msg.remove("a"), 2)
        self.assertEqual(msg.headers, [("b", "2")])

    def test_a_header_that_could_not_travel_is_refused(self):
        msg = self.engine().message()
        for name, value in (("", "x"), ("x", ""), ("a:b", "x"), ("a", "x\r\ny")):
            with self.assertRaises(tofu.Error) as raised:
                msg.add(name, value)
            self.assertEqual(raised.exception.status, tofu.Status.INVALID_MESSAGE)
        with self.assertRaises(ValueError):
            msg.add("a", "x\0y")

    def test_a_clone_and_a_share_have_the_same_contents(self):
        msg = self.engine().message(b"x" * 1000, id=7).add("a", "1")
        for copy in (msg.clone(), msg.share()):
            self.assertEqual((copy.body, copy.headers, copy.id), (msg.body, msg.headers, 7))
            copy.body = "other"
        self.assertEqual(msg.body, b"x" * 1000)

    def test_an_address_that_is_none_is_refused_with_the_reason(self):
        with self.assertRaises(tofu.Error) as raised:
            self.engine().message().connect_to("tcp|host")
        self.assertEqual(raised.exception.status, tofu.Status.INVALID_ADDRESS)

    def test_only_a_request_can_be_answered(self):
        msg = self.engine().message(opcode=tofu.Opcode.SIGNAL)
        with self.assertRaises(tofu.Error) as raised:
            msg.answer()
        self.assertEqual(raised.exception.status, tofu.Status.INVALID_OP_CODE)

    def test_what_no_channel_would_take_is_told_before(self):
        msg = self.engine().message(b"x" * 65536)
        with self.assertRaises(tofu.Error) as raised:
            msg.check()
        self.assertIn(raised.exception.status, (tofu.Status.INVALID_BODY_LEN, tofu.Status.INVALID_CHANNEL_NUMBER))


class Ownership(Case):
    def test_what_is_put_back_is_gone(self):
        engine = self.engine()
        msg = engine.message("x")
        self.assertTrue(msg)
        msg.put()
        msg.put()
        self.assertFalse(msg)
        self.assertEqual(repr(msg), "<Message: gone>")
        for use in (lambda: msg.body, lambda: msg.headers, lambda: msg.id, msg.clone, lambda: len(msg), lambda: msg.add("a", "b")):
            with self.assertRaises(tofu.Error) as raised:
                use()
            self.assertEqual(raised.exception.status, tofu.Status.NULL_MESSAGE)

    def test_what_nobody_refers_to_goes_back_to_the_pool(self):
        engine = self.engine()
        messages = [engine.message("x") for _ in range(100)]
        self.assertEqual(engine.stats()["messages_out"], 100)
        del messages
        gc.collect()
        self.assertEqual(engine.stats()["messages_out"], 0)

    def test_a_message_outlives_its_engine(self):
        engine = tofu.Engine(tofu.Tcp())
        msg = engine.message("still here")
        engine.close()
        self.assertEqual(msg.body, b"still here")

    def test_a_message_that_is_not_posted_stays(self):
        engine = self.engine()
        group = self.group(engine)
        msg = engine.message("x", channel=77)
        with self.assertRaises(tofu.Error) as raised:
            group.post(msg)
        self.assertEqual(raised.exception.status, tofu.Status.INVALID_CHANNEL_NUMBER)
        self.assertEqual(msg.body, b"x")

    def test_an_empty_pool_is_told_if_nothing_may_be_allocated(self):
        engine = self.engine(pool_initial=1, pool_max=1)
        first = engine.message(pool_only=True)
        with self.assertRaises(tofu.Error) as raised:
            engine.message(pool_only=True)
        self.assertEqual(raised.exception.status, tofu.Status.POOL_EMPTY)
        first.put()
        engine.message(pool_only=True)


if __name__ == "__main__":
    unittest.main()
