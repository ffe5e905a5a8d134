# SPDX-License-Identifier: MIT
"""tofu_pcap FILE: write a capture of a connection that tests/wireshark.sh looks at."""

import struct
import sys

CALLER, LISTENER = 0, 1
PORTS = (40000, 4000)
ADDRESSES = (b"\x7f\0\0\1", b"\x7f\0\0\2")
RAW_IP = 101  # the link type


def frame(proto, number, headers=b"", body=b""):
    return struct.pack(">HBBQHH", 1, proto, 0, number, len(headers), len(body)) + headers + body


def packets():
    request = frame(0, 8, b"a: 1\r\nlang: en\r\n", b"What?")
    yield CALLER, frame(3, 7, b"~connect_to: tcp|127.0.0.1|4000\r\n")
    yield LISTENER, frame(4, 7)
    yield CALLER, request[:20]
    yield CALLER, request[20:] + frame(0x22, 9, b"", b"xx") + frame(2, 9, b"", b"y")
    yield LISTENER, frame(1, 8, b"", b"Tofu")
    yield CALLER, frame(5, 10)
    yield LISTENER, frame(6, 10)
    yield CALLER, frame(0x90, 11)
    yield CALLER, frame(12, 11, b"nonsense\r\n")
    yield LISTENER, frame(2, 12)


def main():
    sent = [1, 1]
    with open(sys.argv[1], "wb") as file:
        file.write(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 65535, RAW_IP))
        for i, (side, data) in enumerate(packets()):
            other = 1 - side
            tcp = struct.pack(">HHIIBBHHH", PORTS[side], PORTS[other], sent[side], sent[other], 5 << 4, 0x18, 65535, 0, 0) + data
            ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(tcp), i, 0, 64, 6, 0) + ADDRESSES[side] + ADDRESSES[other] + tcp
            file.write(struct.pack("<IIII", 1700000000, 1500 * i, len(ip), len(ip)) + ip)
            sent[side] += len(data)


main()
