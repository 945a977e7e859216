# SPDX-License-Identifier: Apache-2.0
"""How a supplier, or one together with its gateway, tries to be paid for what was not served; what each does
stands in tests/hostile.toml under its name.

CLAIMS: each is given a Claiming whose claim is right, over two lanes of relays that were never made, and
returns (claim, signature, records) as they are handed in.

PROOFS: each is a generator.  It is given a Claiming without a claim, of a gateway whose key is `pal`, and yields
once there is one that the registry takes; then it is given the challenge's seed, and yields (proof, signature),
or None for no proof.
"""

from dataclasses import replace

from reference.counterfoil_ref import leaf, note
from support import peer
from support.claiming import Invented

CLAIMS, PROOFS = {}, {}


def refused(when="over", drawn=True, who="crook"):
    """A claim of a session that is over or goes on, into which somebody was drawn or not."""
    def put(function):
        CLAIMS[function.__name__] = function
        function.when, function.drawn, function.who = when, drawn, who
        return function
    return put


def slashed(function):
    """A claim that only its challenge can show to be false."""
    PROOFS[function.__name__] = function
    return function


def as_it_stands(x, **changes):
    """The claim with changes, signed."""
    x.claim = replace(x.claim, **changes)
    return x.claim, x.signature(), x.bytes()


def over(x, records):
    """A claim over these records, with all of its own sums right."""
    x.over(records, valued=False)
    return as_it_stands(x)


def first(x, **changes):
    """The first record is another, and the sums follow."""
    return over(x, x.summed([replace(x.records[0], **changes), *x.records[1:]]))


# --- claims: sums and numbers

@refused()
def total_overstated(x):
    return as_it_stands(x, value=x.claim.value + x.price)


@refused()
def value_of_nothing(x):
    return as_it_stands(x, value=0)


@refused()
def value_beyond_all_tokens(x):
    return as_it_stands(x, value=2**96)


@refused()
def value_above_its_cu(x):
    r = x.records[0]
    return over(x, [replace(r, value=r.value + x.price), *x.records[1:]])


@refused()
def value_that_wraps_around(x):
    r = replace(x.records[0], cu=2**63, value=2**63 * x.price % 2**64)
    return over(x, [r, *x.records[1:]])


@refused()
def gap_in_the_sums(x):
    a, b = x.records
    return over(x, [a, replace(b, value_before=b.value_before + x.price)])


@refused()
def overlap_in_the_sums(x):
    a, b = x.records
    return over(x, [a, replace(b, value_before=b.value_before - x.price)])


@refused()
def session_sum_from_nothing(x):
    a, b = x.records
    return over(x, [a, replace(b, session_value_before=0)])


@refused()
def above_the_allowance(x):
    return first(x, cu=x.whole + 1)


@refused()
def above_the_allowance_by_two_lanes(x):
    half = x.whole // 2 + 1
    return over(x, x.summed([replace(r, cu=half) for r in x.records]))


@refused()
def cu_of_2_63(x):
    return first(x, cu=2**63)


@refused()
def no_cu(x):
    return first(x, cu=0)


@refused(who="free")
def price_of_nothing(x):
    return as_it_stands(x, value=1)


# --- claims: which records

@refused()
def record_twice(x):
    a, b = x.records
    return over(x, x.summed([a, a, b]))


@refused()
def records_in_another_order(x):
    return over(x, x.summed(x.records[::-1]))


@refused()
def another_root(x):
    return as_it_stands(x, root=peer.some(32))


@refused()
def more_records_than_are_there(x):
    return as_it_stands(x, records=3)


@refused()
def something_else_as_a_record(x):
    data = b"CFR1" + x.bytes()[4:]
    return x.claim, x.signature(), data


@refused()
def lane_without_leaves(x):
    return first(x, size=0)


@refused()
def lane_of_more_leaves_than_there_can_be(x):
    return first(x, size=2**20 + 1)


# --- claims: which sessions

@refused()
def session_outside_the_range(x):
    return first(x, start=x.session.start + x.blocks)


@refused()
def session_that_never_was(x):
    return first(x, session=peer.some(32))


@refused(drawn=False)
def session_not_drawn_for(x):
    return as_it_stands(x)


@refused()
def half_a_session(x):
    return as_it_stands(x, start_to=x.claim.start_to - 1)


@refused()
def range_backwards(x):
    return as_it_stands(x, start_to=x.claim.start_from)


@refused(when="running")
def session_that_goes_on(x):
    return as_it_stands(x)


@refused(when="late")
def window_that_has_closed(x):
    return as_it_stands(x)


# --- claims: whose

@refused()
def signed_by_another(x):
    return x.claim, x.signature(peer.Identity(peer.some(32))), x.bytes()


@refused()
def another_network(x):
    return as_it_stands(x, network=peer.some(32))


@refused()
def gateway_that_was_never_granted(x):
    return as_it_stands(x, gateway=peer.some(32))


@refused()
def anothers_earnings(x):
    """A stranger's key under the same records."""
    stranger = peer.Identity(peer.some(32))
    c = replace(x.claim, supplier=stranger.public)
    return c, stranger.sign(c.encode()), x.bytes()


# --- proofs: relays that were never made, or not so

def invented(x, *leaves, **changes):
    """A lane with such leaves, each a dict of changes."""
    lane = Invented(x.network, x.pal, x.supplier)
    for one in leaves or [{}, {}]:
        lane.answer(x.session, **one)
    return x.add(lane, lane.note(**changes))


def signed(x, proof):
    """As it is handed in."""
    data = proof if isinstance(proof, bytes) else proof.encode()
    return data, x.proof_signature(data)


@slashed
def more_than_was_served(x):
    lane = invented(x, {"cu": 1})
    x.over([x.record(lane, cu=x.whole)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def hole_between_two_leaves(x):
    """The last unit that is claimed is there, and the first; what lies between is claimed too."""
    lane = invented(x, {"cu": 1}, {"cu": 1, "cu_before": x.whole - 1})
    x.over([x.record(lane, cu=x.whole)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def leaves_that_count_the_same_again(x):
    """Each leaf begins where the first did: a thousand of them are worth one."""
    lane = invented(x, *[{"cu": 1, "cu_before": 0}] * 4)
    x.over([x.record(lane, cu=x.whole)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def leaf_above_the_method_table(x):
    lane = invented(x, {"cu": x.whole})
    x.over([x.record(lane)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def leaf_of_a_method_that_is_none(x):
    lane = invented(x, {"method": 60000})
    x.over([x.record(lane)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def refusal_that_is_charged_for(x):
    lane = invented(x, {"kind": leaf.REFUSAL})
    x.over([x.record(lane)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def leaf_of_another_session(x):
    """A lane that earned in one session is claimed for the next one too."""
    earlier = peer.some(32)
    lane = invented(x, {"session": earlier}, {"session": earlier, "cu_before": 500})
    x.over([x.record(lane, cu=1000)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def leaf_of_another_lane(x):
    """It would be the right one, if it were in this lane."""
    lane = invented(x)
    x.over([x.record(lane)])
    seed = yield
    foreign = replace(x.leaf_at(seed), request_hash=peer.some(32)).encode()
    yield signed(x, replace(x.proof(seed), leaf=foreign))


@slashed
def another_leaf_than_is_asked_for(x):
    lane = invented(x)
    x.over([x.record(lane)])
    seed = yield
    yield signed(x, x.proof(seed, at=1 - x.leaf_at(seed).seq))


# --- proofs: heads

@slashed
def head_that_the_gateway_has_not_signed(x):
    lane = invented(x, cosigned=False)
    x.over([x.record(lane)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def cosignature_of_the_suppliers_own(x):
    lane = invented(x, cosigned=False)
    line = note.signature_line(note.gateway_key(x.gateway), x.supplier.seed, lane.text(2, lane.root()), 1)
    x.add(lane, lane.note(cosigned=False) + line)
    x.over([x.record(lane)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def cosignature_over_another_root(x):
    lane = invented(x, cosigned=False)
    line = note.signature_line(note.gateway_key(x.gateway), x.pal.seed, lane.text(2, peer.some(32)), 1)
    x.add(lane, lane.note(cosigned=False) + line)
    x.over([x.record(lane)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def head_that_the_supplier_has_not_signed(x):
    lane = invented(x)
    text = lane.text(2, lane.root())
    x.add(lane, text + b"\n" + note.signature_line(note.gateway_key(x.gateway), x.pal.seed, text, 1))
    x.over([x.record(lane)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def head_of_another_root(x):
    """Both have signed a head, and the record names another."""
    lane = invented(x, root=peer.some(32))
    x.over([x.record(lane)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def head_of_another_lane(x):
    lane = invented(x)
    other = Invented(x.network, x.pal, x.supplier).answer(x.session)
    x.add(lane, other.note())
    x.over([x.record(lane)])
    seed = yield
    yield signed(x, x.proof(seed))


@slashed
def head_that_is_no_note(x):
    lane = invented(x)
    x.add(lane, b"no note")
    x.over([x.record(lane)])
    seed = yield
    yield signed(x, x.proof(seed))


# --- proofs: records, and who hands them in

def two_records(x):
    """A claim of two."""
    lanes = invented(x), invented(x)
    x.over([x.record(lane) for lane in lanes])


@slashed
def another_record_than_is_asked_for(x):
    two_records(x)
    seed = yield
    index = 1 - x.point(seed)[0]
    yield signed(x, replace(x.proof(seed), index=index, record=x.records[index].encode()))


@slashed
def record_that_is_not_in_the_claim(x):
    two_records(x)
    seed = yield
    record = replace(x.point(seed)[1], size=1).encode()
    yield signed(x, replace(x.proof(seed), record=record))


@slashed
def no_proof_at_all(x):
    two_records(x)
    yield
    yield None


@slashed
def something_else_as_a_proof(x):
    two_records(x)
    seed = yield
    yield signed(x, x.proof(seed).encode() + b"\0")


@slashed
def proof_signed_by_another(x):
    """The right one, from somebody who wants to spoil it: nothing of that is kept."""
    two_records(x)
    seed = yield
    data = x.proof(seed).encode()
    yield data, x.proof_signature(data, x.pal)
