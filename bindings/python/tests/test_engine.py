# SPDX-License-Identifier: MIT
"""Engines and groups: talk over each transport, time-outs, threads, ends in any order."""

import gc
import os
import select
import signal
import sys
import threading
import time
import unittest

from common import ANYWHERE, PATIENCE, Case, tofu, transports


class Talk(Case):
    def test_question_and_answer_over_each_transport(self):
        for scheme, transport in transports().items():
            with self.subTest(scheme):
                client, channel, server, accepted = self.pair(self.engine(transport()), scheme)
                number = client.send(channel, "What is tofu?", headers=[("lang", "en")])
                request = self.take(server, tofu.Opcode.REQUEST)
                self.assertEqual((request.body, request.get("lang"), request.channel), (b"What is tofu?", "en", accepted))
                server.post(request.answer("Bean curd."))
                response = self.take(client, tofu.Opcode.RESPONSE)
                self.assertEqual((response.body, response.id, response.channel), (b"Bean curd.", number, channel))
                client.bye(channel)
                server.post(self.take(server, tofu.Opcode.BYE_REQUEST).answer())
                self.take(client, tofu.Opcode.BYE_RESPONSE)
                for group in (client, server):
                    last = group.receive(PATIENCE)
                    self.assertTrue(last.is_last_word and last.is_notice)
                    self.assertEqual(last.reason, tofu.Status.CHANNEL_CLOSED)

    def test_each_size_arrives_whole(self):
        client, channel, server, _ = self.pair(self.engine())
        for size in (0, 1, 255, 256, 257, 65535):
            body = os.urandom(size)
            client.send(channel, body)
            self.assertEqual(self.take(server, tofu.Opcode.REQUEST).body, body)

    def test_many_messages_come_in_their_order(self):
        client, channel, server, _ = self.pair(self.engine())
        for i in range(500):
            client.send(channel, str(i), opcode=tofu.Opcode.SIGNAL)
        got = []
        while len(got) < 500:
            got += [int(msg.body) for msg in server.receive_many(timeout=PATIENCE)]
        self.assertEqual(got, list(range(500)))

    def test_a_full_queue_is_told_and_so_is_room(self):
        engine = self.engine(send_queue_max=4)
        client, channel, server, _ = self.pair(engine)
        pool = [engine.message(pool_only=True) for _ in range(engine.stats()["pool_free"])]  # so that the server does not read
        with self.assertRaises(tofu.WouldBlock) as raised:
            for _ in range(100_000):
                client.send(channel, b"x" * 60000, opcode=tofu.Opcode.SIGNAL)
        self.assertEqual(raised.exception.status, tofu.Status.WOULD_BLOCK)
        del pool
        drained = threading.Thread(target=lambda: [msg.put() for msg in server])
        drained.start()
        while (msg := client.receive(PATIENCE)).status != tofu.Status.SEND_READY:
            self.assertEqual(msg.status, tofu.Status.POOL_EMPTY)
        server.close()
        drained.join(PATIENCE)
        self.assertFalse(drained.is_alive())

    def test_what_the_engine_knows_of_a_channel(self):
        client, channel, _, _ = self.pair(self.engine())
        info = client.inspect(channel)
        self.assertEqual(info["state"], tofu.engine.ChannelState.OPEN)
        self.assertTrue(info["peer"].startswith("tcp|127.0.0.1|"))
        self.assertIsNone(info["uid"])
        self.assertEqual((info["messages_sent"], info["messages_received"]), (1, 1))

    def test_a_peer_that_is_not_there_is_an_answer_with_a_status(self):
        engine = self.engine()
        group = self.group(engine)
        address = self.listening(other := self.group(engine))
        other.close()
        channel = group.connect(address)
        msg = group.receive(PATIENCE)
        self.assertEqual((msg.channel, msg.status), (channel, tofu.Status.CONNECT_FAILED))


class Waiting(Case):
    def test_nothing_in_time_is_a_timeout(self):
        group = self.group(self.engine())
        for timeout in (0, 0.05, 0.25):
            before = time.monotonic()
            with self.assertRaises(TimeoutError):
                group.receive(timeout)
            self.assertGreaterEqual(time.monotonic() - before, timeout)

    def test_an_interrupt_ends_a_wait(self):
        group = self.group(self.engine())
        group.interrupt()
        with self.assertRaises(tofu.Error) as raised:
            group.receive(PATIENCE)
        self.assertEqual(raised.exception.status, tofu.Status.INTERRUPTED)

    def test_a_thread_that_waits_stops_no_other(self):
        group = self.group(self.engine())
        got = []
        thread = threading.Thread(target=lambda: got.append(group.receive(PATIENCE)))
        thread.start()
        group.update(self.engine().message("from another thread"))
        thread.join(PATIENCE)
        self.assertEqual((got[0].body, got[0].status), (b"from another thread", tofu.Status.RECEIVER_UPDATE))

    @unittest.skipIf(sys.platform == "win32", "there are no such signals")
    def test_a_signal_is_handled_while_the_main_thread_waits(self):
        group = self.group(self.engine())

        class Interrupted(Exception):
            pass

        def handler(*_):
            raise Interrupted

        before = signal.signal(signal.SIGUSR1, handler)
        self.addCleanup(signal.signal, signal.SIGUSR1, before)
        main = threading.main_thread().ident
        timer = threading.Timer(0.1, signal.pthread_kill, (main, signal.SIGUSR1))
        timer.start()
        with self.assertRaises(Interrupted):
            group.receive(PATIENCE)
        timer.join()

    @unittest.skipIf(sys.platform == "win32", "select takes sockets only")
    def test_a_pollable_is_readable_while_something_is_to_be_received(self):
        group = self.group(self.engine())
        fd = group.pollable()
        self.assertEqual(select.select([fd], [], [], 0)[0], [])
        group.update()
        self.assertEqual(select.select([fd], [], [], PATIENCE)[0], [fd])
        group.receive(0)
        self.assertEqual(select.select([fd], [], [], 0)[0], [])

    def test_an_engine_that_is_driven_by_its_caller(self):
        client, channel, server, _ = self.pair(self.engine(io=tofu.IO.CALLER))
        client.send(channel, "x")
        self.assertEqual(self.take(server, tofu.Opcode.REQUEST).body, b"x")


class Ends(Case):
    def test_a_closed_group_ends_a_loop_over_it(self):
        group = self.group(self.engine())
        seen = []
        thread = threading.Thread(target=lambda: seen.extend(group))
        thread.start()
        group.update()
        group.close()
        thread.join(PATIENCE)
        self.assertFalse(thread.is_alive())

    def test_a_closed_engine_ends_those_who_wait_in_its_groups(self):
        engine = self.engine()
        groups = [self.group(engine) for _ in range(3)]
        ended = []

        def wait(group):
            for _ in group:
                pass
            ended.append(group)

        threads = [threading.Thread(target=wait, args=(group,)) for group in groups]
        for thread in threads:
            thread.start()
        engine.close()
        for thread in threads:
            thread.join(PATIENCE)
        self.assertEqual(len(ended), 3)

    def test_all_is_refused_after_the_end_and_nothing_breaks(self):
        engine = self.engine()
        group = self.group(engine)
        msg = engine.message("x", channel=1)
        engine.close()
        engine.close()
        for use in (engine.message, engine.stats, engine.group, lambda: group.post(msg), lambda: group.receive(0)):
            with self.assertRaises(tofu.Closed):
                use()
        group.close()
        group.close()
        with self.assertRaises(tofu.Closed):
            group.receive(0)

    def test_any_order_of_finalizers_is_safe(self):
        for order in ((0, 1, 2), (0, 2, 1), (1, 0, 2), (1, 2, 0), (2, 0, 1), (2, 1, 0)):
            engine = tofu.Engine(tofu.Tcp())
            group = tofu.Group(engine)
            things = [engine, group, engine.message("x")]
            del engine, group
            for i in order:
                things[i] = None
                gc.collect()

    def test_an_option_that_is_none_is_refused(self):
        with self.assertRaises(TypeError):
            tofu.Engine(pool_size=3)
        with self.assertRaises(TypeError):
            tofu.Tcp(port=3)
        with self.assertRaises(tofu.Error) as raised:
            tofu.Engine(pool_initial=1 << 31)
        self.assertEqual(raised.exception.status, tofu.Status.NOT_ALLOWED)

    def test_the_log_is_told(self):
        lines = []
        engine = self.engine(log=lambda level, text: lines.append((level, text)))
        self.pair(engine)
        engine.close()
        self.assertTrue(any(level == tofu.LogLevel.INFO and "tcp|127.0.0.1|" in text for level, text in lines), lines)

    def test_a_thousand_engines_leave_no_descriptor_and_no_memory(self):
        def life():
            with tofu.Engine(tofu.Tcp(), pool_initial=4, pool_max=4) as engine, engine.group() as group:
                group.update(engine.message("x"))
                group.receive(PATIENCE)

        def descriptors():
            return len(os.listdir("/proc/self/fd"))

        def resident():
            with open("/proc/self/statm", encoding="ascii") as file:
                return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")

        if not os.path.isdir("/proc/self/fd"):
            self.skipTest("no /proc")
        for _ in range(100):
            life()
        gc.collect()
        before = descriptors(), resident()
        for _ in range(1000):
            life()
        gc.collect()
        self.assertEqual(descriptors(), before[0])
        self.assertLess(resident() - before[1], 2_000_000)

    def test_an_address_has_a_fault_or_none(self):
        engine = self.engine()
        self.assertIsNone(engine.address_fault(ANYWHERE["tcp"], listen=True))
        self.assertIn("port", engine.address_fault("tcp|127.0.0.1|x"))


if __name__ == "__main__":
    unittest.main()
