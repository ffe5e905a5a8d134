# SPDX-License-Identifier: MIT
"""What the tests share."""

import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

import tofu  # noqa: E402

PATIENCE = 10  # seconds for what comes at once, on a busy machine


def transports():
    """Those that this build has, by scheme."""
    found = {"tcp": tofu.Tcp, "inproc": tofu.Inproc}
    if sys.platform != "win32":
        found["uds"] = tofu.Unix
    return found


ANYWHERE = {"tcp": "tcp|127.0.0.1|0", "uds": "uds|", "inproc": "inproc|python-tests"}


class Case(unittest.TestCase):
    """A test with an engine of its own, closed at its end."""

    def engine(self, *given, **options):
        engine = tofu.Engine(*(given or (tofu.Tcp(),)), **options)
        self.addCleanup(engine.close)
        return engine

    def group(self, engine):
        group = engine.group()
        self.addCleanup(group.close)
        return group

    def take(self, group, opcode, status=tofu.Status.OK):
        msg = group.receive(PATIENCE)
        self.assertEqual((msg.opcode, msg.status), (opcode, status), repr(msg))
        return msg

    def listening(self, group, address="tcp|127.0.0.1|0"):
        group.listen(address)
        return self.take(group, tofu.Opcode.WELCOME_RESPONSE).get("~listen_on")

    def pair(self, engine, scheme="tcp"):
        """A client's group with its channel, and a server's."""
        server, client = self.group(engine), self.group(engine)
        channel = client.connect(self.listening(server, ANYWHERE[scheme]))
        hello = self.take(server, tofu.Opcode.HELLO_REQUEST)
        accepted = hello.channel
        server.post(hello.answer())
        self.take(client, tofu.Opcode.HELLO_RESPONSE)
        return client, channel, server, accepted
