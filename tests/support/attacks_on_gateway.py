# SPDX-License-Identifier: Apache-2.0
"""What a hostile supplier does to a gateway: one Behaviour for each case of tests/hostile.toml with
side "gateway".  Each breaks its rule once, at its first chance, and is honest before and after."""

import dataclasses
import struct
import time

from reference.counterfoil_ref import frames, leaf
from support import peer
from support.peer_supplier import Behaviour

ATTACKS = {}
WRONG = leaf.response_encoding(b'{"jsonrpc":"2.0","id":1,"result":"0xbad"}')


class Once(Behaviour):
    """Honest, but for the first relay; `at` is when that was answered, `lied` what it was."""

    def __init__(self):
        self.at = self.lied = None

    def lie(self, link, relay):
        """Answers the first relay."""

    def on_relay(self, link, relay):
        if self.at is not None:
            link.turn([relay])
            return
        self.at, self.lied = time.monotonic(), relay
        self.lie(link, relay)


def lie(function):
    """A case that answers one relay: registered under the function's name."""
    ATTACKS[function.__name__] = type(function.__name__, (Once,), {
        "lie": lambda self, link, relay: function(link, relay)})
    return function


def turns(name, **how):
    """A case that is one turn, said by the words of SupplierLink.turn()."""
    ATTACKS[name] = type(name, (Once,), {"lie": lambda self, link, relay: link.turn([relay], **how)})


def leaves(name, **changes):
    """A case that is a leaf with changes, under a root that is signed."""
    turns(name, leaf_changes=changes)


# -- answers and leaves

turns("answer_of_other_bytes", sent=WRONG)
turns("answer_that_is_cut", sent=WRONG[:-4])
turns("answer_with_another_status", response=WRONG, leaf_changes={"status": 201})
turns("answer_with_http_status_500", response=leaf.response_encoding(
    b'{"jsonrpc":"2.0","id":1,"result":"0xbad"}', 500))
turns("answer_of_another_content_type", response=leaf.response_encoding(
    b'{"jsonrpc":"2.0","id":1,"result":"0xbad"}', 200, "text/html"))
turns("answer_with_another_id", response=leaf.response_encoding(
    b'{"jsonrpc":"2.0","id":7,"result":"0xbad"}'))
turns("answer_that_is_not_json", response=leaf.response_encoding(b"<html>no</html>"))
turns("result_that_is_called_an_error", response=WRONG, leaf_changes={"kind": leaf.RPC_ERROR})
turns("error_that_is_called_a_result", response=leaf.response_encoding(
    b'{"jsonrpc":"2.0","id":1,"error":{"code":-32000,"message":"no"}}'))
turns("refused_call_that_costs", leaf_changes={"kind": leaf.RPC_ERROR}, response=leaf.response_encoding(
    b'{"jsonrpc":"2.0","id":1,"error":{"code":-32601,"message":"no such method"}}'))
turns("refusal_in_other_words", leaf_changes={"kind": leaf.REFUSAL, "cu": 0, "status": 34},
      response=leaf.response_encoding(b"busy", 34, "text/plain"))
leaves("leaf_without_its_magic", magic=b"CFR2")
leaves("leaf_of_kind_zero", kind=0)
leaves("leaf_with_a_flag_of_no_meaning", flags=32)
leaves("leaf_with_the_zero_field_set", zero=1)
leaves("leaf_of_a_block_hash_without_a_block", block_hash=bytes(31) + b"\1")
leaves("refusal_that_costs", kind=leaf.REFUSAL)
leaves("answer_that_is_called_a_stream", stream=7)
leaves("last_part_of_no_stream", flags=leaf.LAST)
leaves("answer_that_is_called_pinned", flags=leaf.PINNED)
leaves("cu_above_the_table", cu=1000)
leaves("method_of_another_call", method=51)
leaves("request_hash_of_another_request", request_hash=bytes(32))
leaves("session_of_others", session=bytes(32))
leaves("cu_that_overflow", cu_before=2**64 - 2)


@lie
def skipped_seq(link, relay):
    link.turn([relay], leaf_changes={"seq": len((link.lane or link.open_lane()).leaves) + 1})


@lie
def gap_in_an_interval(link, relay):
    lane = link.lane or link.open_lane()
    link.turn([relay], leaf_changes={"cu_before": lane.sums.get(relay.session, 0) + 10})


class TwoRelays(Once):
    """Honest in the first relay, a lie about the second of that link and session."""

    stake = 4  # on a slow machine a session has few relays

    def __init__(self):
        super().__init__()
        self.first = None

    def on_relay(self, link, relay):
        first = self.first
        if self.at is None and first and (first.link, first.session) == (relay.link, relay.session):
            super().on_relay(link, relay)
        else:
            self.first = relay
            link.turn([relay])


def second(function):
    """A case that needs a relay ahead of the one that it lies about."""
    ATTACKS[function.__name__] = type(function.__name__, (TwoRelays,), {
        "lie": lambda self, link, relay: function(self, link, relay)})
    return function


@second
def overlap_of_an_interval(_, link, relay):
    link.turn([relay], leaf_changes={"cu_before": 0})


@second
def leaf_of_an_earlier_request(self, link, relay):
    made = dataclasses.replace(relay, request=self.first.request, salt=self.first.salt)
    link.turn([made])


@second
def one_relay_answered_twice(self, link, relay):
    link.turn([self.first])
    link.turn([relay])


@second
def seq_that_is_used_twice(_, link, relay):
    """Two signed heads of one size: the supplier's own signatures convict it."""
    link.lane = link.lane.copy()
    for part in (link.lane.leaves, link.lane.salts, link.lane.hashes):
        part.pop()
    link.lane.sums[relay.session] = 0
    link.turn([relay])


@second
def old_head_again(_, link, relay):
    """The head of one leaf under a batch that makes it two."""
    lane = link.lane
    link.turn([relay], size=1, root=lane.root(1))


# -- trees, heads, signatures

turns("root_of_other_leaves", root=b"\7" * 32)
turns("head_of_another_size", size=9)
turns("head_signed_by_another_key", signer=peer.Identity(bytes(32)))
turns("batch_that_begins_late", say_first=3)
turns("answer_to_a_relay_that_was_not_sent", numbers=[999999])
turns("relay_number_zero_in_a_batch", numbers=[0])


@lie
def head_signed_as_a_cosignature(link, relay):
    lane = link.lane or link.open_lane()
    encoded = leaf.response_encoding(link.owner.answer(relay))
    made = link.make_leaf(relay, encoded)
    lane.append(made.encode(), relay.salt)
    text = b"cosignature/v1\ntime 1\n" + lane.text(len(lane.leaves), lane.root())
    link.send_batch([(relay, made, encoded)], len(lane.leaves) - 1, text=text)


@lie
def signature_of_a_head_with_another_s(link, relay):
    class Lax(peer.Identity):
        """Signs as a lax verifier takes it."""

        def sign(self, message):
            good = super().sign(message)
            order = 2**252 + 27742317777372353535851937790883648493
            s = int.from_bytes(good[32:], "little") + order
            return good[:32] + s.to_bytes(32, "little")
    link.turn([relay], signer=Lax(link.me.seed))


@lie
def batch_of_no_leaves(link, _):
    lane = link.lane or link.open_lane()
    link.send("batch", lane=lane.id.hex(), first=0, answers=[], root="00" * 32,
              signature="00" * 64)


@lie
def batch_of_too_many_leaves(link, relay):
    encoded = leaf.response_encoding(link.owner.answer(relay))
    answers = [(relay, link.make_leaf(relay, encoded), encoded)] * 257
    link.send_batch(answers, 0, root=bytes(32), size=257)


@lie
def batch_beyond_a_turn(link, relay):
    """More than 512 KiB in more than one leaf."""
    encoded = leaf.response_encoding(b"x" * (300 << 10))
    made = link.make_leaf(relay, encoded)
    link.send_batch([(relay, made, encoded)] * 2, 0, root=bytes(32), size=2)


class LaneOfAnEarlierLink(Once):
    """Goes on in the lane of the link before."""

    def __init__(self):
        super().__init__()
        self.old = self.cut = None

    def on_relay(self, link, relay):
        if self.old is None:
            link.turn([relay])
            self.old, self.cut = link.lane, link
            link.channel.sock.shutdown(2)
        if link is self.cut:
            return  # others may have come with the first: who hung up answers none
        if self.at is None:
            link.open_lane(self.old)
        super().on_relay(link, relay)

    def lie(self, link, relay):
        link.turn([relay])


ATTACKS["lane_of_an_earlier_link"] = LaneOfAnEarlierLink


# -- streams


def parts(name, *list_of_parts):
    """A case that is a stream: (number, last, bytes of body, changes) of each part."""
    def function(link, relay):
        for number, last, size, changes in list_of_parts:
            said = {"kind": leaf.PART, "stream": relay.number, "part": number,
                    "flags": leaf.LAST if last else 0, "cu": relay.method[1] if not number else 0,
                    **changes}
            link.turn([relay], response=leaf.response_encoding(b"x" * size), leaf_changes=said)
    function.__name__ = name
    lie(function)


FULL = 65536
parts("stream_that_begins_with_its_second_part", (1, False, FULL, {}))
parts("stream_that_leaves_out_a_part", (0, False, FULL, {}), (2, True, 5, {}))
parts("stream_under_another_number", (0, False, FULL, {"stream": 424242}))
parts("stream_of_small_parts", (0, False, 1, {}), (1, True, 1, {}))
parts("later_part_above_its_price", (0, False, FULL, {}), (1, True, 5, {"cu": 20}))


parts("stream_beyond_its_room", *[(n, False, FULL, {}) for n in range(5)])


@lie
def part_behind_the_end_of_its_stream(link, relay):
    said = {"kind": leaf.PART, "stream": relay.number}
    link.turn([relay], response=leaf.response_encoding(b"x" * FULL), leaf_changes=said)
    link.error(relay.number, frames.RELAY, "upstream")
    link.turn([relay], response=leaf.response_encoding(b"x" * FULL),
              leaf_changes={**said, "part": 1, "cu": 0})


@lie
def stream_that_ends_as_an_answer(link, relay):
    link.turn([relay], response=leaf.response_encoding(b"x" * FULL), leaf_changes={
        "kind": leaf.PART, "stream": relay.number})
    link.turn([relay])


# -- refusing, and keeping silent


class Picky(Once):
    """Refuses, for ever, what costs more than it likes, and answers the rest."""

    def on_relay(self, link, relay):
        if relay.method[1] < 20:
            link.turn([relay])
            return
        self.at = self.at or time.monotonic()
        link.refuse(relay, "overload")


ATTACKS["refuses_what_is_dear"] = Picky


@lie
def refuses_by_an_error_frame(link, relay):
    link.error(relay.number, frames.RELAY, "upstream", "no")


@lie
def refuses_by_a_code_of_no_meaning(link, relay):
    link.error(relay.number, frames.RELAY, 999, "no")


@lie
def refuses_without_end(link, relay):
    link.refuse(relay, "allowance")


@lie
def never_answers(_link, _relay):
    pass


ATTEMPT_S = 2  # gateway.deadline / gateway.attempts where these are played
LATE_S = ATTEMPT_S + 0.5


@lie
def answers_after_its_deadline(link, relay):
    time.sleep(LATE_S)
    link.turn([relay])


@lie
def answers_too_late_and_wrong(link, relay):
    time.sleep(LATE_S)
    link.turn([relay], sent=WRONG)


# -- frames that are none of a node's


def says(name, what):
    """A case that sends one thing instead of an answer, which follows."""
    def function(link, relay):
        link.write(what(link))
        link.turn([relay])
    function.__name__ = name
    lie(function)


says("session_named_by_a_node", lambda link: frames.frame(frames.SESSION, 1, b""))
says("relay_sent_by_a_node", lambda link: frames.frame(frames.RELAY, 1, bytes(30)))
says("cancel_sent_by_a_node", lambda link: frames.frame(frames.CANCEL, 1, b""))
says("cosignature_by_a_node", lambda link: frames.frame(frames.COSIGN, 0, bytes(152)))
says("frame_of_no_type", lambda link: frames.frame(77, 0, b""))
says("frame_of_a_later_version", lambda link: frames.frame(200, 5, b"later"))
says("frame_over_frame_max", lambda link: struct.pack(">IBBI", 1 << 30, frames.BATCH, 0, 0))
says("frame_of_length_zero", lambda link: bytes(10))
says("session_ok_for_no_session", lambda link: frames.frame(frames.SESSION_OK, 4000, bytes(8)))
says("session_ok_that_is_short", lambda link: frames.frame(frames.SESSION_OK, 1, bytes(7)))
says("error_for_a_relay_that_is_not_there", lambda link: frames.encode(
    "error", {"type": 4, "code": 34, "text": ""}, 888888))
says("error_text_of_a_node_that_is_not_utf8", lambda link: frames.frame(
    frames.ERROR, 1, b"\4\0\x30\0\2\xc3\x28"))
says("ping_of_seven_bytes", lambda link: frames.frame(frames.PING, 0, bytes(7)))
says("pong_that_was_not_asked_for", lambda link: frames.frame(frames.PING, 0, b"\xff" * 8, 1))
says("goaway_that_is_long", lambda link: frames.frame(frames.GOAWAY, 0, bytes(7)))
says("leaves_that_a_gateway_did_not_fetch", lambda link: frames.encode("leaves", {
    "lane": "00" * 16, "from": 0, "leaves": [], "signature": "00" * 64}, 1))
says("fetch_of_a_lane_of_others", lambda link: frames.encode(
    "fetch", {"lane": "11" * 16, "from": 0, "to": 5}, 3))
says("listing_with_a_false_head", lambda link: frames.encode("lanes", {"lanes": [
    link.open_lane().entry(size=5, root="11" * 32, signature="22" * 64)]}, flags=1))
says("listing_with_a_false_cosignature", lambda link: frames.encode("lanes", {"lanes": [
    link.open_lane().entry(cosigned_size=5, cosigned_root="11" * 32, cosigned_time=1,
                           cosignature="22" * 64)]}, flags=1))
says("closing_of_a_lane_where_no_batch_ended", lambda link: closing(link, 1000))


def closing(link, size):
    """LANES, flag 2: the live lane is closed, at a size that it does not have."""
    lane = link.lane or link.open_lane()
    root = bytes(32)
    return frames.encode("lanes", {"lanes": [lane.entry(
        state=1, size=size, root=root.hex(),
        signature=link.me.sign(lane.text(size, root)).hex())]}, flags=3)


class AnotherHead(Once):
    """Hangs up when its first head is cosigned, thus committed, and lists its lane with another head
    of that size on the next link."""

    def __init__(self):
        super().__init__()
        self.size = 0

    def on_relay(self, link, relay):
        link.turn([relay])

    def on_cosign(self, link, frame):
        if self.size == 0:
            self.size = frame.fields["size"]
            link.channel.sock.shutdown(2)

    def on_up(self, link):
        if self.size == 0 or self.at is not None:
            super().on_up(link)
            return
        lane = next(iter(link.owner.lanes.values()))
        root = b"\7" * 32
        link.send("lanes", flags=1, lanes=[lane.entry(
            size=self.size, root=root.hex(), signature=link.me.sign(lane.text(self.size, root)).hex())])
        self.at = time.monotonic()


ATTACKS["listing_with_another_head"] = AnotherHead


# -- HELLO and sessions


class Hello(Behaviour):
    """Says a HELLO with changes, on the first link only."""

    changes = {}

    def __init__(self):
        self.at = None

    def on_tls(self, link):
        if self.at is not None:
            link.say_hello()
            return
        self.at = time.monotonic()
        self.lie(link)

    def lie(self, link):
        """The HELLO that is not right."""
        link.say_hello(**self.changes)


def hello(name, **changes):
    """A case that is a HELLO with changes."""
    ATTACKS[name] = type(name, (Hello,), {"changes": changes})


hello("supplier_of_another_network", network="77" * 32)
hello("supplier_that_says_it_is_a_gateway", role=peer.GATEWAY)
hello("supplier_of_another_version", version=9)
hello("supplier_with_a_tiny_frame_max", frame_max=1023)
ATTACKS["supplier_of_another_key"] = type("supplier_of_another_key", (Hello,), {
    "lie": lambda self, link: link.send("hello", **peer.Link(
        link.channel, peer.Identity(b"k" * 32), peer.SUPPLIER, link.network).hello_fields())})
ATTACKS["supplier_that_borrows_a_key"] = type("supplier_that_borrows_a_key", (Hello,), {
    "lie": lambda self, link: link.say_hello(signature="55" * 64)})


class Sessions(Behaviour):
    """Answers SESSION with an ERROR until `until`."""

    def __init__(self):
        self.at = None

    def on_session(self, link, frame):
        if self.at is None:
            self.at = time.monotonic()
            link.error(frame.stream, frames.SESSION, "limit", "not today")
        else:
            super().on_session(link, frame)


ATTACKS["refuses_every_session_at_first"] = Sessions
