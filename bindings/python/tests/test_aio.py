# SPDX-License-Identifier: MIT
"""Groups in asyncio: calls, streams of messages, cancellation, ends."""

import asyncio
import contextlib
import unittest

from common import ANYWHERE, PATIENCE, tofu, transports
from tofu import aio


@contextlib.asynccontextmanager
async def served(handle, scheme="tcp", **options):
    """An engine, a client's group, and its channel to a server that gives each request to handle."""
    with tofu.Engine(transports()[scheme](), **options) as engine:
        async with aio.Group(engine) as server, aio.Group(engine) as client:
            _, address = await server.listen(ANYWHERE[scheme])

            async def serve():
                async for msg in server:
                    if msg.opcode in (tofu.Opcode.HELLO_REQUEST, tofu.Opcode.BYE_REQUEST):
                        await server.post(msg.answer())
                    elif msg.opcode == tofu.Opcode.REQUEST:
                        await handle(server, msg)

            task = asyncio.create_task(serve())
            try:
                yield engine, client, await client.connect(address, timeout=PATIENCE)
            finally:
                server.close()
                await asyncio.wait_for(task, PATIENCE)


async def echo(server, msg):
    await server.post(msg.answer())


class Aio(unittest.IsolatedAsyncioTestCase):
    async def test_a_call_over_each_transport(self):
        for scheme in transports():
            with self.subTest(scheme):
                async with served(echo, scheme) as (engine, client, channel):
                    answer = await client.call(engine.message("x", channel=channel), PATIENCE)
                    self.assertEqual(answer.body, b"x")
                    await client.bye(channel, PATIENCE)

    async def test_answers_come_in_any_order(self):
        waiting = []

        async def backwards(server, msg):
            waiting.append(msg)
            if len(waiting) == 10:
                for each in reversed(waiting):
                    await server.post(each.answer())

        async with served(backwards) as (engine, client, channel):
            answers = await asyncio.gather(*(client.call(engine.message(str(i), channel=channel), PATIENCE) for i in range(10)))
            self.assertEqual([int(answer.body) for answer in answers], list(range(10)))

    async def test_what_answers_no_call_is_received(self):
        async def tell(server, msg):
            await server.send(msg.channel, "news", opcode=tofu.Opcode.SIGNAL)
            await server.post(msg.answer())

        async with served(tell) as (engine, client, channel):
            await client.call(engine.message("x", channel=channel), PATIENCE)
            news = await client.receive(PATIENCE)
            self.assertEqual((news.opcode, news.body), (tofu.Opcode.SIGNAL, b"news"))

    async def test_nobody_answers_in_time(self):
        async def silent(_server, _msg):
            pass

        async with served(silent) as (engine, client, channel):
            with self.assertRaises(tofu.Timeout):
                await client.call(engine.message("x", channel=channel), 0.05)
            with self.assertRaises(tofu.Timeout):
                await client.receive(0.05)

    async def test_the_end_of_the_channel_ends_its_calls(self):
        async def hang_up(server, msg):
            server.hang_up(msg.channel)

        async with served(hang_up) as (engine, client, channel):
            with self.assertRaises(tofu.Error):
                await client.call(engine.message("x", channel=channel), PATIENCE)

    async def test_nobody_listens(self):
        with tofu.Engine(tofu.Tcp()) as engine:
            async with aio.Group(engine) as group:
                channel, address = await group.listen("tcp|127.0.0.1|0")
                group.hang_up(channel)
                self.assertTrue((await group.receive(PATIENCE)).is_last_word)
                with self.assertRaises(tofu.Error) as raised:
                    await group.connect(address, timeout=PATIENCE)
                self.assertEqual(raised.exception.status, tofu.Status.CONNECT_FAILED)

    async def test_a_post_waits_while_the_queue_is_full(self):
        count = 0

        async def slow(_server, _msg):
            nonlocal count
            count += 1
            await asyncio.sleep(0)

        async with served(slow, send_queue_max=4) as (engine, client, channel):
            for _ in range(300):
                await client.send(channel, b"x" * 60000)
            while count < 300:
                await asyncio.sleep(0.01)

    async def test_a_message_that_comes_while_a_receiver_is_canceled_is_not_lost(self):
        with tofu.Engine(tofu.Tcp()) as engine:
            async with aio.Group(engine) as group:
                for i in range(100):
                    task = asyncio.create_task(group.receive())
                    await asyncio.sleep(0)
                    group.update(engine.message(str(i)))
                    if i % 2:
                        await asyncio.sleep(0)
                    task.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        got = await task
                        self.assertEqual(got.body, str(i).encode())
                        continue
                    self.assertEqual((await group.receive(PATIENCE)).body, str(i).encode())

    async def test_a_closed_group_ends_all_that_wait(self):
        with tofu.Engine(tofu.Tcp()) as engine:
            group = aio.Group(engine)
            waiting = [asyncio.create_task(group.receive()) for _ in range(3)]
            await asyncio.sleep(0)
            group.close()
            for task in waiting:
                with self.assertRaises(tofu.Closed):
                    await task
            self.assertEqual([msg async for msg in group], [])

    async def test_a_closed_engine_ends_the_loop_over_a_group(self):
        engine = tofu.Engine(tofu.Tcp())
        async with aio.Group(engine) as group:
            async def read():
                return [msg async for msg in group]

            task = asyncio.create_task(read())
            await asyncio.sleep(0)
            engine.close()
            self.assertEqual(await asyncio.wait_for(task, PATIENCE), [])

    async def test_draining_leaves_the_loop_free(self):
        async with served(echo) as (engine, client, channel):
            await client.send(channel, "x")
            await asyncio.gather(client.drain(PATIENCE), client.receive(PATIENCE))


if __name__ == "__main__":
    unittest.main()
