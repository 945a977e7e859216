# SPDX-License-Identifier: Apache-2.0
"""C2SP signed notes and cosignature/v1, and the checkpoints of lanes ([N1]..[N5])."""

import base64
import binascii
import hashlib
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import (Ed25519PrivateKey,
                                                               Ed25519PublicKey)
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ED25519, COSIGNATURE = 1, 4
DASH = "\u2014 "


class NoteError(ValueError):
    """Not a well-formed note, or one whose signatures do not hold."""


def public_of(seed):
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def sign(seed, message):
    return Ed25519PrivateKey.from_private_bytes(seed).sign(message)


def verifies(public, message, signature):
    try:
        Ed25519PublicKey.from_public_bytes(public).verify(signature, message)
        return True
    except (InvalidSignature, ValueError):
        return False


def b64decode_strict(text):
    try:
        raw = base64.b64decode(text, validate=True)
    except binascii.Error as e:
        raise NoteError(f"not base64: {text!r}") from e
    if base64.b64encode(raw).decode() != text:
        raise NoteError(f"not canonical base64: {text!r}")
    return raw


@dataclass(frozen=True)
class Key:
    name: str
    type: int
    public: bytes

    @property
    def id(self):
        return hashlib.sha256(
            self.name.encode() + b"\n" + bytes([self.type]) + self.public).digest()[:4]

    def __str__(self):
        return "%s+%s+%s" % (self.name, self.id.hex(),
                             base64.b64encode(bytes([self.type]) + self.public).decode())


def parse_key(text):
    try:
        name, key_id, rest = text.split("+", 2)
    except ValueError as e:
        raise NoteError("a verifier key has three fields") from e
    raw = b64decode_strict(rest)
    if not valid_name(name) or len(raw) != 33:
        raise NoteError("not a verifier key")
    key = Key(name, raw[0], raw[1:])
    if raw[0] not in (ED25519, COSIGNATURE) or key.id.hex() != key_id:
        raise NoteError("a verifier key with a wrong id or type")
    return key


def valid_name(name):
    return (name != "" and "+" not in name and not any(c.isspace() for c in name)
            and len(name.encode()) <= 127 and all(ord(c) > 32 and ord(c) != 127 for c in name))


def supplier_key(public):
    return Key("counterfoil/supplier/" + public.hex(), ED25519, public)


def gateway_key(public):
    return Key("counterfoil/gateway/" + public.hex(), COSIGNATURE, public)


def registry_key(public):
    return Key("counterfoil/registry/" + public.hex(), ED25519, public)


def cosigned(time, text):
    return b"cosignature/v1\ntime %d\n" % time + text


def signature_line(key, seed, text, time=0):
    if key.type == COSIGNATURE:
        raw = key.id + time.to_bytes(8, "big") + sign(seed, cosigned(time, text))
    else:
        raw = key.id + sign(seed, text)
    return (DASH + key.name + " " + base64.b64encode(raw).decode() + "\n").encode()


@dataclass(frozen=True)
class Note:
    text: bytes
    signatures: tuple  # of (name, id, rest)

    def signed_by(self, key):
        """Times (0 for plain signatures) at which this key signed.  Raises if any is false."""
        times = []
        for name, key_id, raw in self.signatures:
            if name != key.name or key_id != key.id:
                continue
            if key.type == COSIGNATURE:
                time = int.from_bytes(raw[:8], "big")
                good = len(raw) == 72 and verifies(key.public, cosigned(time, self.text), raw[8:])
            else:
                time = 0
                good = len(raw) == 64 and verifies(key.public, self.text, raw)
            if not good:
                raise NoteError(f"the signature of {key.name} does not verify")
            times.append(time)
        return times


def parse(data, max_bytes=4096):
    if len(data) > max_bytes:
        raise NoteError("too long")
    try:
        whole = data.decode("utf-8")
    except UnicodeDecodeError as e:
        raise NoteError("not UTF-8") from e
    if any(ord(c) < 32 and c != "\n" for c in whole):
        raise NoteError("control character")
    text, blank, rest = whole.rpartition("\n\n")
    if not blank or not text or not rest.endswith("\n"):
        raise NoteError("not a text, an empty line and signatures")
    lines = rest[:-1].split("\n")
    if len(lines) > 16:
        raise NoteError("too many signatures")
    signatures = []
    for line in lines:
        if not line.startswith(DASH):
            raise NoteError("not a signature line")
        name, space, b64 = line[len(DASH):].partition(" ")
        raw = b64decode_strict(b64)
        if not space or not valid_name(name) or len(raw) < 5:
            raise NoteError("not a signature line")
        signatures.append((name, raw[:4], raw[4:]))
    return Note((text + "\n").encode(), tuple(signatures))


@dataclass(frozen=True)
class Origin:
    network: bytes
    gateway: bytes
    supplier: bytes
    lane: bytes

    def __str__(self):
        return "counterfoil/1/" + "/".join(
            b.hex() for b in (self.network, self.gateway, self.supplier, self.lane))


def parse_origin(line):
    parts = line.split("/")
    if len(parts) != 6 or parts[:2] != ["counterfoil", "1"]:
        raise NoteError("not the origin of a lane")
    try:
        origin = Origin(*(bytes.fromhex(p) for p in parts[2:]))
    except ValueError as e:
        raise NoteError("not the origin of a lane") from e
    sizes = [len(b) for b in (origin.network, origin.gateway, origin.supplier, origin.lane)]
    if sizes != [32, 32, 32, 16] or str(origin) != line:
        raise NoteError("not the origin of a lane")
    return origin


def checkpoint_text(origin, size, root):
    return f"{origin}\n{size}\n{base64.b64encode(root).decode()}\n".encode()


def checkpoint(origin, size, root, supplier_seed, gateway_seed=None, time=0):
    """A signed note: the supplier's line, then the gateway's if its seed is given."""
    text = checkpoint_text(origin, size, root)
    note = text + b"\n" + signature_line(supplier_key(origin.supplier), supplier_seed, text)
    if gateway_seed is not None:
        note += signature_line(gateway_key(origin.gateway), gateway_seed, text, time)
    return note


@dataclass(frozen=True)
class Checkpoint:
    origin: Origin
    size: int
    root: bytes
    cosign_time: int  # None: not cosigned


def open_checkpoint(data):
    """A checkpoint that its own origin's supplier signed, and maybe its gateway.  Raises."""
    note = parse(data)
    lines = note.text.decode().split("\n")
    if len(lines) != 4 or lines[3] != "":
        raise NoteError("a checkpoint has three lines")
    origin = parse_origin(lines[0])
    if not lines[1].isascii() or not lines[1].isdigit() or str(int(lines[1])) != lines[1]:
        raise NoteError("not a size")
    size = int(lines[1])
    root = b64decode_strict(lines[2])
    if not 1 <= size <= 2**20 or len(root) != 32:
        raise NoteError("not a size and a root")
    supplier, gateway = supplier_key(origin.supplier), gateway_key(origin.gateway)
    if not note.signed_by(supplier):
        raise NoteError("the supplier did not sign")
    if note.signatures[0][:2] != (supplier.name, supplier.id):
        raise NoteError("the supplier's signature is not the first")
    times = note.signed_by(gateway)
    return Checkpoint(origin, size, root, max(times) if times else None)
