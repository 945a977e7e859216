# SPDX-License-Identifier: Apache-2.0
"""What a hostile gateway does to a node: one function for each case of tests/hostile.toml with
side "node".  `x` is the Attack of test_hostile_gateway.py: x.link is an honest link that is up,
x.handle a session that is open on it; both are made when they are first asked for."""

import itertools
import socket
import struct
import time

from OpenSSL import SSL

from reference.counterfoil_ref import frames, leaf
from support import peer
from support.peer_gateway import BODY, Gateway, Refused
from support.peer_lane import SERVICE, Lane

# The order of the group of Ed25519: S and S + L are the same to a lax verifier.
L = 2**252 + 27742317777372353535851937790883648493
ATTACKS = {}
TRACE = b'{"jsonrpc":"2.0","id":1,"method":"debug_traceBlockByNumber","params":["0x1"]}'  # 500 CU
OVER = ("session_over", "no_session")  # of a session that ended meanwhile, or is forgotten already
SLOW = b'{"jsonrpc":"2.0","id":1,"method":"eth_syncing","params":[]}'  # the backend takes its time


def attack(function):
    """Registers a case under the function's name."""
    ATTACKS[function.__name__] = function
    return function


def malleable(signature):
    """The same signature with S + L: RFC 8032 refuses it."""
    s = int.from_bytes(signature[32:], "little") + L
    return signature[:32] + s.to_bytes(32, "little")


def hello_refused(x, **changes):
    """A link whose HELLO has changes; `signed` signs another text."""
    x.link = Gateway(peer.dial(x.port), x.me, x.book)
    signed = changes.pop("signed", None)
    said = x.link.hello_fields(**changes)
    if signed:
        said["signature"] = signed(x.link, said).hex()
    x.link.send("hello", **said)


# -- bytes


@attack
def length_in_little_endian(x):
    x.link.write(struct.pack("<I", 14) + struct.pack(">BBI", frames.PING, 0, 0) + bytes(8))


@attack
def short_string_past_the_end(x):
    session = x.session()
    data = session.id + session.application + b"\xc8" + b"eth" + bytes(8) + session.table
    x.link.write(frames.frame(frames.SESSION, 1, data))


@attack
def signature_with_another_s(x):
    hello_refused(x, signed=lambda link, said: malleable(link.me.sign(link.hello_text(said))))


@attack
def hello_signed_as_a_grant(x):
    hello_refused(x, signed=lambda link, said: link.me.sign(
        link.hello_text(said).replace(b"hello", b"grant")))


@attack
def cosignature_without_its_own_first_bytes(x):
    lane = x.answered()
    say_cosign(x, lane, 1, lane.root(), int(time.time()), x.me.sign(lane.text(1, lane.root())))


@attack
def service_name_in_capitals(x):
    x.link.send("session", stream=1, **x.session().fields(service="ETH"))


# -- keys


@attack
def a_suppliers_key_as_a_gateway(x):
    x.me = x.supplier
    hello_refused(x)


@attack
def the_nodes_own_key(x):
    hello_refused(x, key=x.node_key)


@attack
def hello_of_another_network(x):
    hello_refused(x, network=peer.some(32).hex())


@attack
def a_gateway_that_nobody_granted(x):
    x.me = peer.Identity(peer.some(32))
    hello_refused(x)


@attack
def an_application_that_granted_others(x):
    x.open(x.session(application=x.foreign_application))


# -- sessions


@attack
def session_between_two_starts(x):
    x.open(x.session(), start=x.session().start + 1)


@attack
def session_before_the_first(x):
    x.open(x.session(), start=0)


@attack
def session_with_another_id(x):
    x.open(x.session(), session=peer.some(32).hex())


@attack
def session_that_others_were_drawn_for(x):
    x.open(x.session(member=False))


@attack
def session_whose_seed_is_not_drawn_yet(x):
    while True:
        session, start = x.session(), x.book.start() + x.book.blocks
        try:
            x.open(session, start=start)
        except Refused:
            if x.book.height() < start - 3:
                raise
        else:
            return
        x.book.at(start)  # it may have been drawn before the node saw this


@attack
def session_of_a_far_day(x):
    x.open(x.session(), start=x.book.start() + 100 * x.book.blocks)


@attack
def relay_before_its_session(x):
    while True:
        start = x.book.start() + x.book.blocks
        x.book.at(start - 3)  # the seed is there, the session is not
        try:
            answer = x.link.call(x.link.handle_of(x.session(start=start)))
        except Refused as refused:
            # the node reads the registry a little later; or all of it came much too late
            assert refused.name == "registry_stale" or x.book.height() >= start
            continue
        if x.book.height() < start - 1:
            return answer


@attack
def relay_after_its_session(x):
    while True:
        session = x.session()
        end = session.start + x.book.blocks + 2  # grace_blocks
        try:
            handle = x.link.open(session)
            x.link.rest(lambda end=end: x.book.height() >= end)
            return x.link.call(handle)
        except Refused as refused:
            assert refused.name in OVER  # before it was named, or the node had forgotten it already


# -- money


@attack
def an_application_without_escrow(x):
    x.open(x.session(application=x.poor_application))


@attack
def relays_beyond_the_allowance(x):
    """floor(budget / members) buys 100 CU at this price, over all links of the session."""
    x.me = x.greedy
    session, served = x.session(), 0
    for _ in range(2):
        link = Gateway.connect(x.port, x.me, x.book)
        handle = link.open(session)
        answers = [link.answer(n) for n in [link.relay(handle) for _ in range(15)]]
        served += sum(a.leaf.cu for a in answers)
        x.keep(link)
    assert served == 100, served
    x.link = link
    x.handle = None
    return answers[-1]


@attack
def a_gateway_that_never_cosigns(x):
    """The bound of a new gateway is 1000 CU, on this link and on the next one."""
    x.me = x.owing
    for _ in range(2):
        x.link = link = Gateway.connect(x.port, x.me, x.book)
        handle = link.open(x.session())
        answers = [link.answer(n) for n in [link.relay(handle, TRACE) for _ in range(4)]]
        x.keep(link)
    assert sum(a.leaf.cu for link in x.links for n in link.answers.values() for a in n
               if link.me is x.owing) == 1000
    x.handle = None
    return answers[-1]


# -- encodings


@attack
def a_batch_in_one_relay(x):
    return x.link.call(x.handle, b"[" + BODY + b"]")


@attack
def request_encoding_with_a_false_length(x):
    return x.link.call(x.handle, request=leaf.request_encoding(SERVICE, BODY) + b" ")


@attack
def request_of_another_service(x):
    return x.link.call(x.handle, request=leaf.request_encoding("btc", BODY))


@attack
def request_of_an_unknown_kind(x):
    return x.link.call(x.handle, request=leaf.request_encoding(SERVICE, BODY, kind=9))


@attack
def call_with_the_clients_own_id(x):
    return x.link.call(x.handle, BODY.replace(b'"id":1', b'"id":7'))


@attack
def call_with_two_ids(x):
    return x.link.call(x.handle, BODY.replace(b'"id":1', b'"id":1,"\\u0069d":1'))


@attack
def body_that_is_not_json(x):
    return x.link.call(x.handle, b'{"jsonrpc":"2.0","id":1,"method":"eth_chainId"')


@attack
def one_salt_for_two_relays(x):
    salt = peer.some(16)
    for _ in range(2):
        x.link.call(x.handle, salt=salt)


@attack
def relay_without_time(x):
    return x.link.call(x.handle, SLOW, deadline_ms=0)


@attack
def method_that_is_not_relayed(x):
    return x.link.call(x.handle, BODY.replace(b"eth_chainId", b"eth_accounts"))


@attack
def session_with_another_method_table(x):
    x.open(x.session(), table=peer.some(32).hex())


# -- TLS and HELLO


def handshake_refused(x, **tls):
    """TLS that is not [F1]'s; the client may learn of it only when it reads."""
    channel = peer.Channel(socket.create_connection(("127.0.0.1", x.port)), peer.context(**tls),
                           accept=False)
    x.link = Gateway(channel, x.me, x.book)
    channel.handshake()


@attack
def tls_without_alpn(x):
    handshake_refused(x, alpn=None)


@attack
def tls_with_another_alpn(x):
    handshake_refused(x, alpn=b"h2")


@attack
def tls_1_2(x):
    handshake_refused(x, version=SSL.TLS1_2_VERSION)


@attack
def tls_without_a_certificate(x):
    handshake_refused(x, with_certificate=False)


@attack
def a_connection_that_says_nothing(x):
    channel = peer.Channel(socket.create_connection(("127.0.0.1", x.port)), peer.context(), False)
    x.link = Gateway(channel, x.me, x.book)
    while channel.fill(10) and not channel.ended:
        pass
    raise peer.Closed(None, "")


@attack
def tls_without_a_hello(x):
    x.link = Gateway(peer.dial(x.port), x.me, x.book)


@attack
def hello_of_another_version(x):
    hello_refused(x, version=2)


@attack
def hello_of_the_nodes_own_role(x):
    hello_refused(x, role=peer.SUPPLIER)


@attack
def hello_of_no_role(x):
    hello_refused(x, role=3)


@attack
def hello_of_another_connection(x):
    other = Gateway(peer.dial(x.port), x.me, x.book)
    signature = other.hello_fields()["signature"]
    other.close()
    hello_refused(x, signature=signature)


@attack
def hello_signed_by_another_key(x):
    hello_refused(x, signed=lambda link, said: x.supplier.sign(link.hello_text(said)))


@attack
def hello_with_a_tiny_frame_max(x):
    hello_refused(x, frame_max=1000)


@attack
def hello_with_a_frame_max_below_a_turn(x):
    hello_refused(x, frame_max=65536)


@attack
def hello_for_a_second_time(x):
    x.link.say_hello()


@attack
def ping_ahead_of_hello(x):
    x.link = Gateway(peer.dial(x.port), x.me, x.book)
    x.link.send("ping", bytes="00" * 8)


# -- frames


@attack
def length_below_its_least(x):
    x.link.write(struct.pack(">I", 5) + bytes(9))


@attack
def length_above_frame_max(x):
    x.link.write(struct.pack(">IBBI", (1 << 20) + 1, frames.RELAY, 0, 1))


@attack
def a_kibibyte_ahead_of_hello(x):
    x.link = Gateway(peer.dial(x.port), x.me, x.book)
    x.link.write(struct.pack(">IBBI", 1025, frames.HELLO, 0, 0))


@attack
def half_a_frame(x):
    x.link.answers_pings = False
    x.link.write(frames.frame(frames.PING, 0, bytes(8))[:9])


@attack
def flags_that_no_rule_names(x):
    x.link.write(frames.frame(frames.PING, 0, bytes(8), flags=0xfe))
    x.handle = x.link.open(x.session())


@attack
def one_byte_at_a_time(x):
    data = frames.frame(frames.PING, 0, bytes(8))
    for at in range(len(data)):
        x.link.write(data[at:at + 1])
    x.link.until(lambda: x.link.pongs)


@attack
def type_zero(x):
    x.link.write(frames.frame(0, 0, b""))


@attack
def type_of_no_version(x):
    x.link.write(frames.frame(15, 0, bytes(4)))


@attack
def type_of_a_later_version(x):
    x.link.write(frames.frame(0x80, 7, bytes(40)))


def good_frames(x):
    """A frame of each type that a gateway sends, after HELLO; right in form."""
    lane = Lane(x.book.network, x.me.public, bytes.fromhex(x.node_key), peer.some(16))
    root, at, signature = lane.cosign(x.me, 1, root=bytes(32))
    yield frames.encode("session", x.session().fields(), 99)
    yield frames.encode("relay", {"session": 1, "deadline_ms": 1, "salt": "00" * 16,
                                  "request": "00"}, 99)
    yield frames.encode("cosign", {"lane": lane.id.hex(), "size": 1, "root": root.hex(),
                                   "time": at, "signature": signature.hex()})
    yield frames.encode("lanes", {"lanes": []}, flags=1)
    yield frames.encode("fetch", {"lane": lane.id.hex(), "from": 0, "to": 1}, 1)
    yield frames.encode("leaves", {"lane": lane.id.hex(), "from": 0, "leaves": [],
                                   "signature": "00" * 64}, 1)
    yield frames.encode("cancel", {}, 1)
    yield frames.encode("credit", {"relays": 1, "bytes": 1})
    yield frames.encode("ping", {"bytes": "00" * 8})
    yield frames.encode("goaway", {"code": 36, "drain_ms": 0})
    yield frames.encode("error", {"type": 4, "code": 48, "text": "x"}, 7)


def each_closes(x, change, leave_out=()):
    """Every frame, changed, closes a link of its own; the last link is the harness's."""
    for data in good_frames(x):
        if data[4] in leave_out:
            continue
        if x.has_link:
            assert x.link.end() == "protocol", data
        x.renew()
        x.link.write(change(data))


def resized(data, payload):
    """The frame with another payload."""
    return frames.frame(data[4], int.from_bytes(data[6:10], "big"), payload, data[5])


@attack
def payloads_that_are_too_short(x):
    each_closes(x, lambda data: resized(data, data[10:-1]), {frames.CANCEL, frames.RELAY})


@attack
def payloads_that_are_too_long(x):
    each_closes(x, lambda data: resized(data, data[10:] + b"\0"), {frames.RELAY})


@attack
def streams_that_are_not_as_the_rules_have_them(x):
    def other(data):
        stream = int.from_bytes(data[6:10], "big")
        return data[:6] + (0 if stream else 5).to_bytes(4, "big") + data[10:]
    each_closes(x, other, {frames.ERROR, frames.CREDIT})


@attack
def a_batch_from_a_gateway(x):
    x.link.send("batch", lane="00" * 16, first=0, root="00" * 32, signature="00" * 64,
                answers=[{"relay": 1, "leaf": "00" * 192, "response": "00"}])


# -- sessions and relays on the link


@attack
def session_handle_twice(x):
    x.link.send("session", stream=x.handle, **x.session().fields())


@attack
def one_session_with_two_handles(x):
    x.link.open(x.link.sessions[x.handle])


@attack
def more_sessions_than_the_node_takes(x):
    """node.sessions_max is 3."""
    x.me = x.flooder
    while True:
        sessions = [s for s in x.every_session() if s]
        if len(sessions) > 3:
            break
        time.sleep(0.2)
    for session in sessions:
        x.handle = x.link.open(session)


@attack
def relay_number_zero(x):
    x.link.send("relay", stream=0, session=x.handle, deadline_ms=1, salt="00" * 16, request="00")


@attack
def relay_pinned_to_a_block_that_it_does_not_name(x):
    number = next(x.link.numbers)
    request = leaf.request_encoding(SERVICE, BODY)
    x.link.sent[number] = (x.link.sessions.get(x.handle), bytes(16), request)
    x.link.send("relay", stream=number, flags=1, session=x.handle, deadline_ms=10000,
                salt="00" * 16, pin_block=7, pin_hash="11" * 32, request=request.hex())
    return x.link.answer(number)


@attack
def relay_number_again(x):
    x.link.answer(x.link.relay(x.handle, number=8))
    x.link.relay(x.handle, number=8)


@attack
def relay_number_that_goes_back(x):
    x.link.answer(x.link.relay(x.handle, number=8))
    x.link.relay(x.handle, number=7)


@attack
def relay_in_a_session_that_is_not_open(x):
    x.link.call(x.handle + 50)


@attack
def more_relays_than_the_node_takes(x):
    """node.in_flight_max is 64."""
    request, salt, numbers, data = leaf.request_encoding(SERVICE, SLOW), peer.some(16), range(1, 81), b""
    for n in numbers:  # all at once, while the first is not answered
        x.link.sent[n] = (x.link.sessions[x.handle], salt, request)
        data += frames.encode("relay", {"session": x.handle, "deadline_ms": 10000, "salt": salt.hex(),
                                        "request": request.hex()}, n)
    x.link.write(data)
    x.link.numbers = itertools.count(81)
    answers = [x.link.answer(n) for n in numbers]
    refused = [a for a in answers if a.refusal]
    assert 0 < len(refused) <= 16 and len({a.refusal for a in refused}) == 1
    return refused[0]


@attack
def more_refusals_than_a_turn_signs(x):
    """Over 64 are ERROR frames [F9]; each relay ends in one way or the other."""
    data, numbers = b"", range(1, 201)
    for n in numbers:
        request = leaf.request_encoding("btc", BODY)
        x.link.sent[n] = (x.link.sessions[x.handle], bytes(16), request)
        data += frames.encode("relay", {"session": x.handle, "deadline_ms": 1000, "salt": "00" * 16,
                                        "request": request.hex()}, n)
    x.link.write(data)
    x.link.until(lambda: len(x.link.answers) + len(x.link.errors) == 200)
    assert set(x.link.errors.values()) == {"protocol"}, x.link.errors
    x.link.numbers = iter(range(201, 999))
    raise Refused("protocol", "")


# -- cosignatures


def say_cosign(x, lane, size, root, at, signature):
    """A COSIGN as it is given."""
    x.link.send("cosign", lane=lane.id.hex(), size=size, root=root.hex(), time=at,
                signature=signature.hex())


@attack
def cosignature_of_another_root(x):
    lane = x.answered()
    say_cosign(x, lane, 1, *lane.cosign(x.me, 1, root=peer.some(32)))


@attack
def cosignature_of_a_size_that_was_not_sent(x):
    lane = x.answered()
    say_cosign(x, lane, 9, *lane.cosign(x.me, 9, root=lane.root()))


@attack
def cosignature_of_size_zero(x):
    say_cosign(x, x.answered(), 0, bytes(32), 1, bytes(64))


@attack
def cosignature_with_another_time(x):
    lane = x.answered()
    root, at, signature = lane.cosign(x.me, 1)
    say_cosign(x, lane, 1, root, at + 1, signature)


@attack
def cosignature_by_another_key(x):
    lane = x.answered()
    say_cosign(x, lane, 1, *lane.cosign(x.supplier, 1))


@attack
def cosignature_of_an_older_head(x):
    lane = x.answered()
    x.link.call(x.handle)
    x.link.cosign(lane, 2)
    x.link.cosign(lane, 1)
    x.link.ping()


@attack
def cosignature_of_a_strangers_lane(x):
    """The node looks for leaves that it may have lost; nobody has them [L8]."""
    lane = Lane(x.book.network, x.me.public, x.link.supplier, bytes.fromhex(x.foreign_lane()))
    say_cosign(x, lane, 3, *lane.cosign(x.me, 3, root=peer.some(32)))
    fetch = x.link.expect("fetch")
    x.link.send("leaves", stream=fetch.stream, lane=fetch.fields["lane"], leaves=[],
                signature="00" * 64, **{"from": fetch.fields["from"]})


# -- what else a gateway may say


@attack
def error_text_that_is_not_utf8(x):
    x.link.write(frames.frame(frames.ERROR, 1, b"\4\0\x30\0\2\xc3\x28"))


@attack
def error_text_over_its_limit(x):
    x.link.send("error", stream=1, type=4, code=48, text="x" * 513)


@attack
def error_for_the_hello(x):
    x.link.send("error", type=1, code=51, text="not you")


@attack
def cancel_of_what_is_not_there(x):
    for number in (1, 77, 2**32 - 1):
        x.link.send("cancel", stream=number)


@attack
def cancel_of_a_relay_that_runs(x):
    """It costs nothing: no leaf [R9]."""
    number = x.link.relay(x.handle, SLOW)
    x.link.send("cancel", stream=number)
    x.link.call(x.handle)
    time.sleep(0.6)
    x.link.ping()
    assert number not in x.link.answers


@attack
def a_flood_of_pings(x):
    x.link.write(frames.frame(frames.PING, 0, bytes(8)) * 5000)
    x.link.until(lambda: x.link.pongs >= 5000)


@attack
def relays_after_a_goaway(x):
    x.link.send("goaway", code=36, drain_ms=0)
    x.link.call(x.handle)


# -- recovery


def zeros(**changes):
    """An entry of LANES that says nothing, with changes."""
    lane = Lane(bytes(32), bytes(32), bytes(32), peer.some(16))
    return lane.entry(**changes)


@attack
def a_listing_of_more_lanes_than_a_frame_holds(x):
    x.link.send("lanes", flags=1, lanes=[zeros()] * 1001)


@attack
def a_listing_without_end(x):
    for _ in range(17):
        x.link.send("lanes", lanes=[zeros() for _ in range(1000)])


@attack
def a_closed_lane_in_a_listing(x):
    x.link.send("lanes", flags=1, lanes=[zeros(state=1)])


@attack
def a_lane_in_no_state(x):
    x.link.send("lanes", flags=1, lanes=[zeros(state=2)])


@attack
def a_lane_of_size_zero_with_a_root(x):
    x.link.send("lanes", flags=1, lanes=[zeros(root="11" * 32)])


@attack
def a_lane_whose_head_the_node_never_signed(x):
    x.link.send("lanes", flags=1, lanes=[zeros(size=5, root="11" * 32, signature="22" * 64)])


@attack
def a_lane_with_a_false_cosignature(x):
    x.link.send("lanes", flags=1, lanes=[zeros(
        cosigned_size=5, cosigned_root="11" * 32, cosigned_time=1, cosignature="22" * 64)])


@attack
def fetch_of_nothing(x):
    x.link.send("fetch", stream=1, lane="00" * 16, **{"from": 4, "to": 4})


@attack
def fetch_of_too_much(x):
    x.link.send("fetch", stream=1, lane="00" * 16, **{"from": 0, "to": 2049})


@attack
def fetch_of_a_strangers_lane(x):
    """Its salts are nobody else's business."""
    x.link.send("fetch", stream=5, lane=x.foreign_lane(), **{"from": 0, "to": 1})
    assert x.link.expect("leaves", stream=5).fields["leaves"] == []


@attack
def a_flood_of_fetches_that_nobody_reads(x):
    for _ in range(5):
        lane = x.answered(60)
    data = frames.encode("fetch", {"lane": lane.id.hex(), "from": 0, "to": 300}, 1)
    try:
        for _ in range(2000):
            x.link.channel.write(data)
    except SSL.Error:
        pass


@attack
def leaves_that_nobody_asked_for(x):
    x.link.send("leaves", stream=1, lane="00" * 16, leaves=[], signature="00" * 64, **{"from": 0})


@attack
def leaves_that_are_made_up(x):
    """A head that the node never had, and leaves of the right root: not signed by it [L9]."""
    lane = Lane(x.book.network, x.me.public, x.link.supplier, peer.some(16))
    for seq in range(3):
        lane.append(leaf.Leaf(seq=seq).encode(), bytes(16))
    say_cosign(x, lane, 3, *lane.cosign(x.me, 3))
    fetch = x.link.expect("fetch")
    x.link.send("leaves", stream=fetch.stream, lane=lane.id.hex(), signature="33" * 64, **{
        "from": 0, "leaves": [{"leaf": d.hex(), "salt": "00" * 16} for d in lane.leaves]})


@attack
def an_answer_that_closes_a_lane_with_a_size(x):
    x.link.send("lanes", flags=3, lanes=[zeros(state=1, size=5, root="11" * 32,
                                               signature="22" * 64)])


@attack
def an_answer_that_closes_nothing(x):
    x.link.send("lanes", flags=3, lanes=[zeros()])


@attack
def a_gateway_that_denies_what_it_got(x):
    """It has the answers and says that it has no lane: what it got still counts as served [P4]."""
    x.me = x.denying
    session, served = x.session(), 0
    for _ in range(3):
        link = Gateway.connect(x.port, x.me, x.book)
        handle = link.open(session)
        answers = [link.answer(n) for n in [link.relay(handle) for _ in range(15)]]
        served += sum(a.leaf.cu for a in answers)
        x.keep(link)
        link.close()
        link = Gateway.connect(x.port, x.me, x.book)
        link.send("lanes", flags=3, lanes=[zeros(lane=key, state=1) for key in link.listing])
        link.ping()
        link.close()
    assert served == 100, served
    x.link = Gateway.connect(x.port, x.usual, x.book)
    x.handle = None
