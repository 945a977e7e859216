# SPDX-License-Identifier: Apache-2.0
"""Links in Python: TLS 1.3, HELLO and frames, for peers that keep the rules and for those that do not.

Written from docs/protocol.md section 9 over tests/reference; shares nothing with relay/link.
`peer_gateway.py` and `peer_supplier.py` beside this file are the two roles.
"""

import datetime
import os
import re
import select
import socket
import time
from dataclasses import dataclass, field

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from OpenSSL import SSL

from reference.counterfoil_ref import frames, note
from support import paths

ALPN = b"counterfoil/1"
GATEWAY, SUPPLIER = 1, 2
FRAME_MAX = 20 << 20
TIMEOUT = 60.0


def wire_codes():
    """{name: wire code} of docs/errors.md."""
    text = (paths.ROOT / "relay/base/err.def").read_text()
    rows = re.findall(r"^E\((\w+),\s*(\d+)", text, re.MULTILINE)
    return {name.lower(): int(code) for name, code in rows if code != "0"}


WIRE = wire_codes()
NAME_OF = {code: name for name, code in WIRE.items()}


class Closed(Exception):
    """The other side closed; `error` is the name in its last ERROR frame for the link, or None."""

    def __init__(self, error, text):
        super().__init__(f"{error}: {text}")
        self.error, self.text = error, text


class Silent(Exception):
    """Nothing came in time."""


class Identity:
    """A relay key of a peer, made from a name so that every run has the same."""

    def __init__(self, seed):
        self.seed = seed
        self.public = note.public_of(seed)
        self.hex = self.public.hex()

    def sign(self, message):
        """An Ed25519 signature."""
        return note.sign(self.seed, message)


def certificate():
    """(key, certificate) that say nothing: identity is the HELLO's [F1]."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.oid.NameOID.COMMON_NAME, "a peer of a test")])
    now = datetime.datetime.now(datetime.timezone.utc)
    cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
            .public_key(key.public_key()).serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=2)).sign(key, hashes.SHA256()))
    return key, cert


_CERTIFICATE = certificate()


def context(alpn=ALPN, version=SSL.TLS1_3_VERSION, with_certificate=True):
    """A context for either end; what is not as [F1] has it is for the case that breaks it."""
    made = SSL.Context(SSL.TLS_METHOD)
    made.set_min_proto_version(version)
    made.set_max_proto_version(version)
    made.set_verify(SSL.VERIFY_PEER, lambda *_: True)
    if with_certificate:
        key, cert = _CERTIFICATE
        made.use_privatekey(key)
        made.use_certificate(cert)
    if alpn:
        made.set_alpn_protos([alpn])
        made.set_alpn_select_callback(
            lambda _, offered: alpn if alpn in offered else SSL.NO_OVERLAPPING_PROTOCOLS)
    return made


class Channel:
    """TLS over a socket, by memory so that bytes can be held back, cut and dribbled."""

    def __init__(self, sock, tls_context, accept):
        self.sock = sock
        self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.sock.settimeout(TIMEOUT)
        self.tls = SSL.Connection(tls_context, None)
        if accept:
            self.tls.set_accept_state()
        else:
            self.tls.set_connect_state()
        self.ended = False

    def flush(self):
        """Sends what TLS has ready."""
        while True:
            try:
                data = self.tls.bio_read(1 << 16)
            except SSL.WantReadError:
                return
            self.sock.sendall(data)

    def fill(self, timeout):
        """Takes bytes off the socket; False when none came in time."""
        if not select.select([self.sock], [], [], max(0.0, timeout))[0]:
            return False
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionError:
            data = b""
        if data:
            self.tls.bio_write(data)
        else:
            self.ended = True
        return True

    def handshake(self, timeout=TIMEOUT):
        """Until TLS is there; Closed when the other side does not want it."""
        end = time.monotonic() + timeout
        while True:
            try:
                self.tls.do_handshake()
                self.flush()
                return
            except SSL.WantReadError:
                self.flush()
            except SSL.Error as error:
                self.flush()
                raise Closed(None, str(error)) from error
            if not self.fill(end - time.monotonic()):
                raise Silent("no handshake")
            if self.ended:
                raise Closed(None, "the connection ended")

    def write(self, data):
        """Sends bytes as they are."""
        for at in range(0, len(data), 1 << 14):
            self.tls.send(data[at:at + (1 << 14)])
        try:
            self.flush()
        except OSError:
            self.ended = True

    def read(self, timeout):
        """Some bytes; b"" at the end of the stream; Silent when nothing comes."""
        end = time.monotonic() + timeout
        while True:
            try:
                return self.tls.recv(1 << 18)
            except SSL.WantReadError:
                pass
            except SSL.Error:
                return b""  # close_notify, or an alert
            if self.ended:
                return b""
            if not self.fill(end - time.monotonic()):
                raise Silent(f"nothing within {timeout:g} s")

    def exporter(self):
        """The value that HELLO signs [F4]."""
        return self.tls.export_keying_material(b"EXPORTER-counterfoil", 32)

    def close(self):
        """Hangs up."""
        self.ended = True
        self.sock.close()


@dataclass
class Frame:
    """One frame that came in."""

    name: str
    stream: int
    flags: int
    fields: dict
    at: float = field(default_factory=time.monotonic)


class Link:
    """One connection past TLS.  Frames go out by send(), come in by recv(); a PING is answered."""

    def __init__(self, channel, me, role, network):
        self.channel, self.me, self.role, self.network = channel, me, role, network
        self.buffer = b""
        self.waiting = []  # frames read while looking for another
        self.peer = None   # fields of the other side's HELLO
        self.last_error = None
        self.pongs = 0
        self.answers_pings = True

    # -- HELLO

    def hello_fields(self, **changes):
        """The honest HELLO, with changes; the signature is over what is said [F4]."""
        said = {"version": 1, "role": self.role, "network": self.network.hex(), "key": self.me.hex,
                "height": 0, "frame_max": FRAME_MAX, "in_flight_max": 1024,
                "max_unpaid_cu": 1000000 if self.role == SUPPLIER else 0, "worker": 0}
        said.update(changes)
        if "signature" not in said:
            said["signature"] = self.me.sign(self.hello_text(said)).hex()
        return said

    def hello_text(self, said, exporter=None):
        """What a HELLO signs."""
        return (b"counterfoil/hello/v1\n" + (exporter or self.channel.exporter())
                + bytes.fromhex(said["network"]) + bytes([said["role"]]))

    def say_hello(self, **changes):
        """Sends HELLO."""
        self.send("hello", **self.hello_fields(**changes))

    def take_hello(self, timeout=TIMEOUT):
        """The other side's HELLO, checked; who it must be is for the caller."""
        got = self.expect("hello", timeout).fields
        text = self.hello_text(got)
        assert note.verifies(bytes.fromhex(got["key"]), text, bytes.fromhex(got["signature"]))
        assert got["network"] == self.network.hex() and got["role"] != self.role
        self.peer = got
        return got

    # -- frames

    def send(self, name, stream=0, flags=0, **fields):
        """One frame."""
        self.write(frames.encode(name, fields, stream, flags))

    def write(self, data):
        """Any bytes."""
        self.channel.write(data)

    def _next(self, timeout):
        """The next whole frame of the stream, not yet looked at."""
        end = time.monotonic() + timeout
        while True:
            if len(self.buffer) >= 4:
                size = 4 + int.from_bytes(self.buffer[:4], "big")
                if len(self.buffer) >= size:
                    data, self.buffer = self.buffer[:size], self.buffer[size:]
                    return Frame(*frames.decode(data, FRAME_MAX))
            more = self.channel.read(end - time.monotonic())
            if not more:
                raise Closed(*(self.last_error or (None, "end of stream")))
            self.buffer += more

    def step(self, timeout):
        """Takes one frame; it, or None when it was the link's or the role's own business."""
        got = self._next(timeout)
        if got.name == "ping" and not got.flags & 1:
            if not self.answers_pings:
                return None
            self.send("ping", flags=1, **got.fields)
        elif got.name == "ping":
            self.pongs += 1
        elif got.name == "error" and got.fields["type"] <= frames.HELLO:
            self.last_error = (NAME_OF.get(got.fields["code"]), got.fields["text"])
        elif self.take(got):
            return got
        return None

    def take(self, _frame):
        """For a role: False when it has dealt with the frame."""
        return True

    def until(self, condition, timeout=TIMEOUT):
        """Takes frames until condition(); its value.  What nobody dealt with waits for expect()."""
        end = time.monotonic() + timeout
        while True:
            value = condition()
            if value:
                return value
            got = self.step(end - time.monotonic())
            if got:
                self.waiting.append(got)

    def rest(self, over):
        """Takes frames, and answers PINGs, until over()."""
        while not over():
            try:
                got = self.step(0.01)
            except Silent:
                continue
            if got:
                self.waiting.append(got)

    def expect(self, name, timeout=TIMEOUT, stream=None):
        """The next frame of that name, or of one of those names, (and stream); others wait."""
        wanted = (name,) if isinstance(name, str) else name

        def find():
            for at, one in enumerate(self.waiting):
                if one.name in wanted and (stream is None or one.stream == stream):
                    return self.waiting.pop(at)
            return None

        return self.until(find, timeout)

    def end(self, timeout=TIMEOUT):
        """Reads on until the other side has closed: the name of its ERROR, or None."""
        limit = time.monotonic() + timeout
        try:
            while True:
                self.step(limit - time.monotonic())
        except Closed as closed:
            return closed.error

    def close(self):
        """Hangs up."""
        self.channel.close()


def dial(port, tls_context=None):
    """A connection past TLS."""
    channel = Channel(socket.create_connection(("127.0.0.1", port), TIMEOUT),
                      tls_context or context(), accept=False)
    channel.handshake()
    return channel


def some(n):
    """Random bytes."""
    return os.urandom(n)
