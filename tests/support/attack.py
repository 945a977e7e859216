# SPDX-License-Identifier: Apache-2.0
"""What hostile clients do: raw sockets from addresses of their own, many at a time.

An attack is a function that takes a Gang and returns when all of its connections have ended, or
have been answered as it expects.
"""

import math
import select
import socket
import struct
import time
import urllib.parse

PIECE = 64 * 1024  # sent at once: a kernel that copies megabytes lets nobody else run meanwhile
AT_ONCE = struct.pack("ii", 1, 0)  # closed by a reset: ports that rest for a minute run out, and then they
                                   # are looked for, in a kernel that attackers share with the attacked
REQUEST = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"


def post(body, *lines, verb=b"POST", target=b"/"):
    """One whole request."""
    head = [verb + b" " + target + b" HTTP/1.1", b"Host: x", b"Content-Length: %d" % len(body), *lines]
    return b"\r\n".join(head) + b"\r\n\r\n" + body


def call(method=b"eth_getBalance"):
    """The body of a call."""
    return b'{"jsonrpc":"2.0","id":1,"method":"%s","params":[]}' % method


class Gang:
    """Connections of attackers.  An address of each attack is its own, and none is the neighbours'."""

    given = 1

    def __init__(self, url, addresses=1):
        place = urllib.parse.urlsplit(url)
        self.place = (place.hostname, place.port)
        self.addresses = []
        for _ in range(addresses):
            Gang.given += 1
            self.addresses.append(f"127.0.{Gang.given // 250}.{2 + Gang.given % 250}")
        self.members = []
        self.until_counted = None  # for a test: waits until so many of them have been ended as is due

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for member in self.members:
            member.close()

    def join(self, count, buffer=None):
        """COUNT new connections, spread over the addresses; those that were made."""
        new = []
        for n in range(count):
            one = socket.socket()
            if buffer:
                one.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, AT_ONCE)
            one.bind((self.addresses[n % len(self.addresses)], 0))
            one.settimeout(30)
            try:
                one.connect(self.place)
            except OSError:
                one.close()
                continue
            one.setblocking(False)
            new.append(one)
        self.members += new
        return new

    def leave(self, one):
        """One goes."""
        self.members.remove(one)
        one.close()

    def say(self, data, those=None):
        """Each (of THOSE) sends as much of it as goes at once; those that were cut off leave."""
        for one in list(self.members if those is None else those):
            try:
                one.send(data)
            except BlockingIOError:
                pass
            except OSError:
                self.leave(one)

    def say_all(self, data, timeout=60, those=None, rate=math.inf):
        """Each (of THOSE) sends all of it, or is cut off and leaves; RATE bytes a second in all."""
        left = {one: memoryview(data) for one in (self.members if those is None else those)}
        end = time.monotonic() + timeout
        while left and time.monotonic() < end:
            for one in select.select([], list(left), [], 0.1)[1]:
                time.sleep(PIECE / rate)
                try:
                    left[one] = left[one][one.send(left[one][:PIECE]):]
                except BlockingIOError:
                    continue
                except OSError:
                    self.leave(one)
                    del left[one]
                    continue
                if not left[one]:
                    del left[one]

    def hear(self, timeout=60):
        """Waits until each was ended by the other side; what each was told, [bytes]."""
        told = {one: b"" for one in self.members}
        waiting = set(self.members)
        end = time.monotonic() + timeout
        while waiting and time.monotonic() < end:
            for one in select.select(list(waiting), [], [], 0.1)[0]:
                try:
                    data = one.recv(65536)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                told[one] += data
                if not data:
                    waiting.discard(one)
        assert not waiting, f"{len(waiting)} of {len(told)} connections still stand"
        return list(told.values())
