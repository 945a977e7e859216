# SPDX-License-Identifier: Apache-2.0
"""Sessions, tables, draws, picks and money ([K2]..[K4], [S1]..[S10], [P1]..[P3]).

Written from docs/protocol.md, in the most literal way; the C code shares nothing with it.
"""

import hashlib
from dataclasses import dataclass

from . import tree

MEMBERS_MAX, TRIES, HEALTHY = 64, 4096, 256


def sha(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def u(value, size):
    return value.to_bytes(size, "big")


def short(text):
    return u(len(text), 1) + text.encode()


def point(*parts):
    """The first 16 bytes of a digest as an integer ([B4])."""
    return int.from_bytes(sha(*parts)[:16], "big")


def network_id(kind, tail):
    return sha(b"counterfoil/network/v1\n", u(kind, 1), tail)


def owner_default(key):
    return sha(b"counterfoil/owner/v1\n", key)[:20]


def session_id(network, application, service, start, seed):
    return sha(b"counterfoil/session/v1\n", network, application, short(service), u(start, 8), seed)


def grant_bytes(network, application, gateway, service, budget, nonce):
    return b"".join([b"counterfoil/grant/v1\n", network, application, gateway, short(service),
                     u(budget, 16), u(nonce, 8)])


@dataclass(frozen=True)
class Supplier:
    key: bytes
    owner: bytes
    stake: int
    price: int = 0


@dataclass(frozen=True)
class Row:
    key: bytes
    owner: bytes
    weight: int
    before: int
    price: int

    def encode(self):
        return b"".join([b"CFS1", self.key, self.owner, u(self.weight, 8), u(self.before, 8),
                         u(self.price, 8)])


def table(suppliers, unit, cap):
    """[S4]"""
    rows, before = [], 0
    for s in sorted(suppliers, key=lambda s: s.key):
        weight = min(s.stake, cap) // unit
        if weight > 0:
            rows.append(Row(s.key, s.owner, weight, before, s.price))
            before += weight
    return rows


def total(rows):
    return sum(row.weight for row in rows)


def table_root(rows):
    return tree.root_of(row.encode() for row in rows)


def hit(rows, r):
    (k,) = [k for k, row in enumerate(rows) if row.before <= r < row.before + row.weight]
    return k


def draw(identity, rows, want, tries=TRIES):
    """[S5]: (row, t) of each member, in the order of drawing."""
    members, owners = [], set()
    everybody = {row.owner for row in rows}
    for t in range(tries if rows else 0):
        r = point(b"counterfoil/draw/v1\n", identity, u(t, 4)) % total(rows)
        k = hit(rows, r)
        if rows[k].owner in owners:
            continue
        owners.add(rows[k].owner)
        members.append((k, t))
        if len(members) == want or owners == everybody:
            break
    return members


@dataclass(frozen=True)
class Member:
    weight: int
    price: int = 0
    health: int = HEALTHY
    asked: bool = False


def qualities(members, by_price):
    """[S8]"""
    least = min(max(1, m.price) for m in members)
    result = []
    for m in members:
        if m.asked or m.health == 0:
            result.append(0)
        elif by_price:
            result.append(max(1, m.health * least // max(1, m.price)))
        else:
            result.append(m.health)
    return result


def pick(identity, gateway, worker, n, members, by_price=False):
    """[S7]: (member, r, W, fallback), or None when all were asked."""
    widths = [m.weight * q for m, q in zip(members, qualities(members, by_price))]
    fallback = sum(widths) == 0
    if fallback:
        widths = [0 if m.asked else m.weight for m in members]
    if sum(widths) == 0:
        return None
    r = point(b"counterfoil/pick/v1\n", identity, gateway, u(worker, 4), u(n, 8)) % sum(widths)
    ahead = 0
    for k, width in enumerate(widths):
        if ahead <= r < ahead + width:
            return k, r, sum(widths), fallback
        ahead += width
    raise AssertionError("r is below W")


def allowance(budget, suppliers):
    return budget // suppliers


def claim_horizon(p):
    span = (p["session_blocks"] + p["claim_window"] + p["challenge_lag"] + p["proof_window"]
            + p["snapshot_lag"])
    return -(-span // p["session_blocks"])


def node_accepts(p, start, height):
    """[S10]"""
    return start - 1 <= height < start + p["session_blocks"] + max(1, p["grace_blocks"])
