# SPDX-License-Identifier: Apache-2.0
"""RFC 9162 trees, as the RFC defines them: by recursion, from all leaves.  Slow and plain."""

import hashlib


def leaf_hash(data):
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def split(n):
    """The largest power of two smaller than n (n > 1)."""
    k = 1
    while 2 * k < n:
        k *= 2
    return k


class Tree:
    """A tree over leaf hashes; subtree hashes are remembered."""

    def __init__(self, hashes):
        self.hashes = list(hashes)
        self._memo = {}

    def mth(self, begin, end):
        """MTH(D[begin:end])"""
        if begin == end:
            return hashlib.sha256(b"").digest()
        if end - begin == 1:
            return self.hashes[begin]
        if (begin, end) not in self._memo:
            k = begin + split(end - begin)
            self._memo[begin, end] = node_hash(self.mth(begin, k), self.mth(k, end))
        return self._memo[begin, end]

    def root(self, size):
        return self.mth(0, size)

    def inclusion(self, index, size):
        """PATH(index, D[0:size])"""
        return self._path(index, 0, size)

    def _path(self, m, begin, end):
        if end - begin == 1:
            return []
        k = begin + split(end - begin)
        if m < k:
            return self._path(m, begin, k) + [self.mth(k, end)]
        return self._path(m, k, end) + [self.mth(begin, k)]

    def consistency(self, old, size):
        """PROOF(old, D[0:size])"""
        return self._subproof(old, 0, size, True)

    def _subproof(self, m, begin, end, whole):
        if m == end:
            return [] if whole else [self.mth(begin, end)]
        k = begin + split(end - begin)
        if m <= k:
            return self._subproof(m, begin, k, whole) + [self.mth(k, end)]
        return self._subproof(m, k, end, False) + [self.mth(begin, k)]


def check_inclusion(leaf, index, size, path, root):
    """Rebuilds the root by the recursion of PATH, which uses each hash of the path exactly once."""
    if not 0 <= index < size:
        return False
    rest = list(path)

    def rebuild(begin, end):
        if end - begin == 1:
            return leaf
        k = begin + split(end - begin)
        if not rest:
            return None
        other = rest.pop()
        if index < k:
            part = rebuild(begin, k)
            return part and node_hash(part, other)
        part = rebuild(k, end)
        return part and node_hash(other, part)

    return rebuild(0, size) == root and not rest


def check_consistency(old, old_root, size, root, path):
    """Rebuilds both roots by the recursion of SUBPROOF."""
    if not 0 < old <= size:
        return False
    rest = list(path)

    def rebuild(begin, end, whole):
        """(hash of the old part of D[begin:end], hash of all of it)"""
        if old == end:
            if whole:
                return old_root, old_root
            if not rest:
                return None
            last = rest.pop()
            return last, last
        if not rest:
            return None
        k = begin + split(end - begin)
        other = rest.pop()
        if old <= k:
            part = rebuild(begin, k, whole)
            return part and (part[0], node_hash(part[1], other))
        part = rebuild(k, end, False)
        return part and (node_hash(other, part[0]), node_hash(other, part[1]))

    return rebuild(0, size, True) == (old_root, root) and not rest


def root_of(datas):
    """The root over data (not hashes)."""
    tree = Tree(leaf_hash(d) for d in datas)
    return tree.root(len(tree.hashes))
