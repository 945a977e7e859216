# SPDX-License-Identifier: Apache-2.0
"""Hostile clients: each ends with its named reason in the log and in the metric, and others' calls
go on as fast as before.  The limits are docs/limits.md's, set low so that they are soon reached.

How fast is a matter of the plain build, the step `hostile`; with sanitizers each attack is made once."""

import math
import multiprocessing
import os
import re
import resource
import select
import threading
import time

import pytest

from support import attack, net, paths
from support.attack import Gang
from support.backend import Backend
from support.counts import count
from support.load import Load
from support.process import PATIENCE_S, wait_for
from support.watch import processor_seconds, resident_kib

MIB = 1 << 20
PER_ADDRESS = 64
REQUEST_BYTES = 32 * MIB
FULL_BODIES = REQUEST_BYTES // (4 * MIB)  # of four MiB each
LIMITS = {"workers": 2, "request_timeout": "1 s", "idle_timeout": "1 s", "send_timeout": "700 ms",
          "connections_max": 1024, "connections_per_address_max": PER_ADDRESS,
          "request_bytes_max": "32 MiB", "answer_bytes_max": "1 MiB",
          "head_interval": "0 s"}  # the backend has no blocks: nobody waits to hear of them
# A machine that others use too slows a call now and then; an attack would slow them each time.
TRIALS = 1 if paths.sanitized() else 6
SECONDS = 0 if paths.sanitized() else count("hostile_seconds")
ROUNDS = 1 if paths.sanitized() else count("hostile_rounds")
ENDED = "counterfoil_gateway_clients_ended_total"
CALLS = "counterfoil_gateway_calls_total"  # of a request that is refused with an answer


@pytest.fixture(scope="module")
def backend(folder):
    """It has long answers too."""
    one = Backend(folder, "backend").start()
    one.ready(lambda: net.answers(one.url + "/stats"))
    one.script(default={"result": "0x0"}, methods={"debug_traceTransaction": {"long": MIB}})
    yield one
    one.end()


@pytest.fixture(scope="module")
def network(network_factory, backend):
    return network_factory(upstreams=[backend.url], gateway=LIMITS)


def ended(network, reason):
    """How many connections have ended, or how many calls, for this reason."""
    text = net.get(network.gateway.admin + "/metrics")[2].decode()
    found = re.search(rf'^({ENDED}{{reason|{CALLS}{{.*result)="{reason}"}} (\d+)', text, re.M)
    return int(found[2]) if found else 0


class Neighbours:
    """Clients that do as they should, in a process of their own: the attackers' work is not to be
    measured with theirs."""

    def __init__(self, network):
        self.url = network.url
        context = multiprocessing.get_context("fork")
        self.ours, self.theirs = context.Pipe()
        self.child = context.Process(target=self._run, args=(self.theirs,), daemon=True)
        self.answers = []  # (when, how long it took), in seconds

    def _run(self, pipe):
        with Load(self.url, clients=4, pause=0.004) as load:
            wait_for("a first answer", lambda: load.good)
            pipe.send(None)
            pipe.recv()
        pipe.send((load.failed(), [(answer.at, answer.took) for answer in load.answers]))

    def __enter__(self):
        self.child.start()
        self.theirs.close()  # so that its end is heard of
        self.ours.recv()
        return self

    def __exit__(self, kind, *_):
        self.ours.send(None)
        failed, self.answers = self.ours.recv()
        self.child.join()
        assert kind or self.answers and failed == [], failed[:3]

    def took(self, phases):
        """How long the calls took that were made in these phases, [(begin, end)]; all answers were good."""
        return sorted(took for at, took in self.answers if any(begin <= at < end for begin, end in phases))


def part(ordered, share):
    """What this share of the sorted values stays below; of none it is not a number."""
    return ordered[int(len(ordered) * share)] if ordered else math.nan


# -- the attacks


def slow_heads(gang):
    """Slowloris: a header now and then."""
    gang.join(50)
    gang.say(attack.REQUEST)
    for _ in range(5):
        time.sleep(0.15)
        gang.say(b"X-More: 1\r\n")
    told = gang.hear()
    assert all(one.startswith(b"HTTP/1.1 408 ") for one in told), told[:3]


def slow_bodies(gang):
    """The same with the bytes of a body."""
    gang.join(50)
    gang.say(attack.REQUEST + b"Content-Length: 1000\r\n\r\n")
    for _ in range(5):
        time.sleep(0.15)
        gang.say(b" ")
    told = gang.hear()
    assert all(one.startswith(b"HTTP/1.1 408 ") for one in told), told[:3]


def half_open(gang):
    """Connections that say nothing."""
    gang.join(PER_ADDRESS)
    assert set(gang.hear()) == {b""}


def never_reading(gang):
    """Long answers are asked for and left unread."""
    gang.join(3, buffer=4096)
    gang.say(attack.post(attack.call(b"debug_traceTransaction")))
    gang.until_counted()
    gang.hear()


def long_answers_to_many(gang):
    """More of them than all of them together may hold.  Each is a MiB that is fetched, hashed, receipted
    and kept, as for any client: so there are no more of them than it takes."""
    gang.join(8, buffer=4096)
    gang.say(attack.post(attack.call(b"debug_traceTransaction")))
    gang.until_counted()
    gang.hear()


def pipelining_without_reading(gang):
    """Requests without end, and no answer is read."""
    gang.join(4, buffer=4096)
    many = attack.post(attack.call()) * 200
    end = time.monotonic() + PATIENCE_S
    while gang.members and time.monotonic() < end:
        gang.say(many)
        time.sleep(0.001)
    assert not gang.members


def flood(gang):
    """Connections as fast as one address can open them."""
    end = time.monotonic() + max(1.0, SECONDS / 2)
    while time.monotonic() < end:
        gang.join(2 * PER_ADDRESS)
        select.select(gang.members[-1:], [], [], 1)  # the last is told that it is too many
        while gang.members:
            gang.leave(gang.members[0])


def pipelined_garbage(gang):
    """What is no request, behind one that is: on some connections a call, which costs what any costs."""
    garbage = b"\x01\x02 no request at all\r\n\r\n" * 50
    gang.say(attack.post(attack.call()) + garbage, those=gang.join(5))
    gang.say(attack.post(b"", verb=b"OPTIONS") + garbage, those=gang.join(45))
    told = gang.hear()
    assert sum(b'"result"' in one for one in told) == 5 and all(b" 400 " in one for one in told)


def many_headers(gang):
    """A head of very many lines."""
    gang.join(30)
    gang.say_all(attack.REQUEST + b"X-Bomb: 0123456789\r\n" * 5000)
    gang.hear()


def one_huge_header(gang):
    """A line of a head without end."""
    gang.join(30)
    gang.say_all(attack.REQUEST + b"X-Bomb: " + b"a" * 200000)
    gang.hear()


def a_huge_request_line(gang):
    """The first line, likewise."""
    gang.join(30)
    gang.say_all(b"POST /" + b"a" * 200000)
    gang.hear()


def ten_megabytes(gang):
    """Bodies of twice what a body may have, sent whole over a line of a gigabit."""
    gang.join(3)
    gang.say_all(attack.post(bytes(10_000_000), b"Connection: close"), rate=125_000_000)
    told = gang.hear()
    assert all(one.startswith(b"HTTP/1.1 413 ") for one in told), [one[:300] for one in told]


def nul_bytes(gang):
    """In a header."""
    gang.join(20)
    gang.say(attack.REQUEST + b"X-\x00Nul: 1\x00\r\n\r\n")
    assert all(b" 400 " in one for one in gang.hear())


def bad_chunks(gang):
    """Sizes of chunks that are none."""
    for size in (b"xyz", b"-5", b"ffffffffffffffff", b""):
        gang.join(5)
        gang.say(attack.REQUEST + b"Transfer-Encoding: chunked\r\n\r\n" + size + b"\r\n" + b"z\r\n")
    assert all(b" 413 " in one for one in gang.hear())


def lengths_beyond_reason(gang):
    """Bodies so long that nobody reads them."""
    gang.join(10)
    gang.say(attack.REQUEST + b"Content-Length: 999999999\r\n\r\n{")
    assert all(b" 413 " in one for one in gang.hear())


def unknown_verbs(gang):
    """What is no method, and methods that no HTTP server needs."""
    gang.join(10)
    gang.say(b"TRACE / HTTP/1.1\r\nHost: x\r\n\r\n")
    gang.hear()
    gang.join(10)
    gang.say(b"FROBNICATE / HTTP/1.1\r\nHost: x\r\n\r\n")
    gang.hear()


def expectations(gang):
    """Of a server that does more than HTTP asks for."""
    gang.join(10)
    gang.say(attack.post(b"", b"Expect: 200-miracle").replace(b"Length: 0", b"Length: 9"))
    assert all(b" 417 " in one for one in gang.hear())


def tls_to_the_plain_port(gang):
    """A ClientHello."""
    gang.join(30)
    gang.say(bytes.fromhex("16030100c8010000c40303") + bytes(200))
    assert set(gang.hear()) == {b""}


# attack: reason, how many at least, on how many addresses
ATTACKS = {
    slow_heads: ("slow", 50, 1),
    slow_bodies: ("slow", 50, 1),
    half_open: ("idle", PER_ADDRESS, 1),
    never_reading: ("not_reading", 3, 1),
    long_answers_to_many: ("answer_bytes", 1, 1),
    pipelining_without_reading: ("not_reading", 4, 1),
    flood: ("per_address", PER_ADDRESS // 2, 1),
    pipelined_garbage: ("bad_request", 50, 1),
    many_headers: ("head_too_large", 30, 1),
    one_huge_header: ("head_too_large", 30, 1),
    a_huge_request_line: ("head_too_large", 30, 1),
    ten_megabytes: ("body_too_large", 3, 1),
    nul_bytes: ("bad_request", 20, 1),
    bad_chunks: ("body_refused", 20, 1),
    lengths_beyond_reason: ("body_refused", 10, 1),
    unknown_verbs: ("bad_request", 20, 1),
    expectations: ("bad_request", 10, 1),
    tls_to_the_plain_port: ("tls", 30, 1),
}


def counter(network, one):
    """A function that waits until as many as are to be have been ended for the attack's reason, from
    now on."""
    reason, least, _ = ATTACKS[one]
    had = ended(network, reason)
    return lambda: wait_for(reason, lambda: ended(network, reason) >= had + least, interval=0.1)


class Attacker(threading.Thread):
    """Makes an attack again and again for some seconds, at least once.

    It shares the processors with what it attacks, which no real attacker does: so in soak it has
    what is left of them by the others (SCHED_IDLE), and what is measured is what it costs the gateway."""

    def __init__(self, network, one, seconds):
        super().__init__(daemon=True)
        self.network, self.one, self.seconds = network, one, seconds
        self.error, self.phase, self.cpu = None, None, 0.0

    def run(self):
        begun = time.monotonic()
        try:
            if ROUNDS > 1:  # where milliseconds are judged
                os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))  # of this thread
            self._attack(begun + self.seconds)
        except BaseException as error:  # for the test to raise; pylint: disable=broad-exception-caught
            self.error = error
        self.phase = (begun, time.monotonic())
        self.cpu = sum(resource.getrusage(resource.RUSAGE_THREAD)[:2])

    def _attack(self, until):
        while True:
            with Gang(self.network.url, ATTACKS[self.one][2]) as gang:
                gang.until_counted = counter(self.network, self.one)
                self.one(gang)
                gang.until_counted()
            if time.monotonic() >= until:
                return
            time.sleep(0.05)


class Beside:
    """Calls before, during and after an attack, all of it ROUNDS times: so neither a slow minute of
    the machine nor a fast one is taken for what the attack does."""

    def __init__(self, network, backend, one):
        self.programs = {"gateway": [network.gateway], "nodes": network.nodes, "backend": [backend]}
        self.quiet, self.attacked = [], []  # when, [(begin, end)]
        self.used = {}  # seconds of a processor by (phases, program)
        with Neighbours(network) as neighbours:
            self._rest(SECONDS / ROUNDS / 2)
            for n in range(ROUNDS):
                self._attack(Attacker(network, one, SECONDS / ROUNDS))
                self._rest(SECONDS / ROUNDS / (2 if n == ROUNDS - 1 else 1))
        self.before, self.during = neighbours.took(self.quiet), neighbours.took(self.attacked)
        halves = [part(neighbours.took(self.quiet[n::2]), 0.99) for n in (0, 1)]
        self.scatter = abs(halves[0] - halves[1])

    def _use(self, phases, begun=None):
        """What the programs have used, less what they had, is counted for these phases."""
        used = {name: sum(processor_seconds(one.pid) for one in those)
                for name, those in self.programs.items()}
        for name, had in (begun or {}).items():
            self.used[phases, name] = self.used.get((phases, name), 0) + used[name] - had
        return used

    def _rest(self, seconds):
        used, begun = self._use("quiet"), time.monotonic()
        time.sleep(max(seconds, 0.05))
        self.quiet.append((begun, time.monotonic()))
        self._use("quiet", used)

    def _attack(self, attacker):
        used = self._use("attacked")
        attacker.start()
        attacker.join()
        self._use("attacked", used)
        if attacker.error:
            raise attacker.error
        self.attacked.append(attacker.phase)
        self.used["attacked", "attacker"] = self.used.get(("attacked", "attacker"), 0) + attacker.cpu

    def holds(self):
        """Whether the neighbours were served as before, but for what a machine adds by itself."""
        return part(self.during, 0.99) <= (part(self.before, 0.99) * count("hostile_p99_percent") / 100
                                           + count("hostile_noise_ms") / 1000)

    def __str__(self):
        p50, p99 = ([part(took, share) * 1000 for took in (self.before, self.during)] for share in (0.5, 0.99))
        lasted = {"quiet": self.quiet, "attacked": self.attacked}
        lasted = {name: sum(end - begin for begin, end in phases) for name, phases in lasted.items()}
        used = " ".join(f"{name} {self.used.get(('quiet', name), 0) / lasted['quiet'] * 100:.0f}/"
                        f"{self.used['attacked', name] / lasted['attacked'] * 100:.0f}"
                        for name in (*self.programs, "attacker"))
        return (f"p50 {p50[0]:.2f}/{p50[1]:.2f} ms, p99 {p99[0]:.2f}/{p99[1]:.2f} ms, ratio {p99[1] / p99[0]:.2f}, "
                f"scatter of the first p99 {self.scatter * 1000:.2f} ms; processor %: {used}; "
                f"{len(self.before)}/{len(self.during)} calls")


@pytest.mark.parametrize("one", ATTACKS, ids=lambda one: one.__name__)
def test_an_attack_ends_with_its_reason_and_disturbs_nobody(one, network, backend, record_property):
    reason = ATTACKS[one][0]
    for _ in range(TRIALS):
        seen = Beside(network, backend, one)
        record_property("p99", f"{one.__name__}: {seen}")
        print(f"{one.__name__}: {seen}")
        if seen.holds():
            break
    assert re.search(rf"gateway.(client_ended|body_refused) reason={reason} ", network.gateway.log())
    assert network.gateway.running()
    assert paths.sanitized() or seen.holds(), str(seen)


# -- memory


def test_bodies_that_never_end_have_a_bound_together(network_factory, backend):
    """100 clients that each send most of a 5 MiB body and stop; small requests are answered."""
    # Time enough for all of them: it is the bytes that end a request here, not how slowly they came.
    network = network_factory(upstreams=[backend.url], gateway={**LIMITS, "request_timeout": "60 s"})
    resident, most = resident_kib(network.gateway.pid), 0
    with Gang(network.url, 4) as gang, Neighbours(network):
        for _ in range(10):
            gang.say_all(attack.REQUEST + b"Content-Length: %d\r\n\r\n" % (5 * MIB) + bytes(4 * MIB),
                         those=gang.join(10))
            most = max(most, network.metric(network.gateway, "counterfoil_gateway_requests_held_bytes"))
        grown = resident_kib(network.gateway.pid) - resident
        wait_for("ends", lambda: ended(network, "request_bytes") >= 100 - FULL_BODIES, interval=0.1)
    assert 0 < most <= REQUEST_BYTES + 64 * 1024  # a read of each worker is counted before it is judged
    assert "gateway.client_ended reason=request_bytes " in network.gateway.log()
    if not paths.sanitized():  # whose freed memory stays for a while
        assert grown < (REQUEST_BYTES + 64 * MIB) >> 10, f"{grown} KiB"
    wait_for("nothing held", lambda: network.metric(
        network.gateway, "counterfoil_gateway_requests_held_bytes") == 0, interval=0.1)


def test_ten_megabytes_are_refused_by_name_however_they_come(network):
    body = b'{"jsonrpc":"2.0","id":1,"method":"eth_call","params":["' + b"0" * 10_000_000 + b'"]}'
    chunks = b"".join(b"%x\r\n%s\r\n" % (len(body[at:at + MIB]), body[at:at + MIB])
                      for at in range(0, len(body), MIB)) + b"0\r\n\r\n"
    close = b"Connection: close\r\n"
    for sent in (attack.post(body, b"Connection: close"),
                 attack.REQUEST + close + b"Transfer-Encoding: chunked\r\n\r\n" + chunks):
        with Gang(network.url) as gang:
            gang.join(1)
            gang.say_all(sent)
            told = gang.hear(20)[0]
        assert told.startswith(b"HTTP/1.1 413 ") and b"larger than the limit" in told, told[:300]
    before = ended(network, "head_too_large")
    with Gang(network.url) as gang:  # without any length it is no body, but the next request
        gang.join(1)
        gang.say_all(attack.REQUEST + b"\r\n" + body)
        gang.hear(20)
    wait_for("its end", lambda: ended(network, "head_too_large") > before, interval=0.1)


# -- what is unusual and well-behaved


@pytest.mark.parametrize("sent", [
    attack.post(attack.call(), b"Connection: close").replace(b"HTTP/1.1", b"HTTP/1.0"),
    attack.post(attack.call(), b"Connection: close", target=b"http://x/"),
    attack.post(attack.call(), b"Connection: close", b"Expect: 100-continue"),
    attack.REQUEST + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
    + b"%x\r\n%s\r\n0\r\n\r\n" % (len(attack.call()), attack.call()),
    b"\r\n".join([attack.post(attack.call())[:-len(attack.call())], b""])[:-2] + attack.call()
    + attack.post(attack.call(), b"Connection: close"),
], ids=["HTTP/1.0", "an absolute target", "Expect: 100-continue", "one chunk", "pipelined"])
def test_unusual_requests_are_answered(sent, network):
    with Gang(network.url) as gang:
        gang.join(1)
        gang.say(sent)
        told = gang.hear()[0]
    assert b" 200 " in told and b'"result":"0x0"' in told.replace(b" ", b""), told[:500]


def test_calls_in_flight_of_an_address_have_a_limit_and_others_have_theirs(network_factory, folder):
    backend = Backend(folder, "slow").start()
    backend.ready(lambda: net.answers(backend.url + "/stats"))
    backend.script(default={"result": "0x0"}, methods={"eth_gasPrice": {"hold": True}})
    one = network_factory(upstreams=[backend.url], stakes=(1,),
                          gateway={"in_flight_per_address_max": 4})
    with Gang(one.url) as gang:
        gang.join(6)
        gang.say(attack.post(attack.call(b"eth_gasPrice"), b"Connection: close"))
        wait_for("too many", lambda: len(select.select(gang.members, [], [], 0)[0]) == 2)
        assert "gateway.overload limit=in_flight_per_address_max" in one.gateway.log()
        assert net.result(one.url, "eth_getBalance", "0x1", "latest") == "0x0"
        backend.script()
        told = gang.hear()
    assert sum(b"in_flight_per_address_max" in each for each in told) == 2, told
    assert sum(b'"result"' in each for each in told) == 4, told
    backend.end()
