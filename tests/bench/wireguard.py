"""WireGuard by its whitepaper (sections 5.4 and 5.4.1 to 5.4.7), in Python on other libraries than slipgate's and without
a line of it: what the bench watches the wire with."""
import hashlib
import hmac
import struct
import time

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

INITIATION, RESPONSE, COOKIE_REPLY, TRANSPORT = 1, 2, 3, 4
LENGTHS = {INITIATION: 148, RESPONSE: 92, COOKIE_REPLY: 64}
CONSTRUCTION = b'Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s'
IDENTIFIER = b'WireGuard v1 zx2c4 Jason@zx2c4.com'


class Wrong(Exception):
    """Something on the wire that the whitepaper does not allow."""


def digest(*parts):
    return hashlib.blake2s(b''.join(parts)).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def kdf(key, data, count):
    secret = hmac.new(key, data, hashlib.blake2s).digest()
    keys, last = [], b''
    for number in range(1, count + 1):
        last = hmac.new(secret, last + bytes([number]), hashlib.blake2s).digest()
        keys.append(last)
    return keys


def seal(key, counter, plain, additional):
    return ChaCha20Poly1305(key).encrypt(bytes(4) + struct.pack('<Q', counter), plain, additional)


def open_sealed(key, counter, sealed, additional, what):
    try:
        return ChaCha20Poly1305(key).decrypt(bytes(4) + struct.pack('<Q', counter), sealed, additional)
    except InvalidTag:
        raise Wrong(f'{what} does not authenticate') from None


class PrivateKey:
    def __init__(self, raw=None):
        self.key = X25519PrivateKey.from_private_bytes(raw) if raw else X25519PrivateKey.generate()
        self.public = self.key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)

    def shared(self, public):
        return self.key.exchange(X25519PublicKey.from_public_bytes(public))


def tai64n():
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    return struct.pack('>QI', (1 << 62) + 10 + seconds, nanoseconds)


def mac1_of(public, message):
    """What the mac1 of a handshake message to the owner of this key must be."""
    return mac(digest(b'mac1----', public), message[:-32])


def with_macs(public, message):
    return message + mac1_of(public, message + bytes(32)) + bytes(16)


def check_form(message):
    """Type and length; gives the type."""
    if len(message) < 4 or message[1:4] != b'\0\0\0' or not INITIATION <= message[0] <= TRANSPORT:
        raise Wrong(f'type {message[:4].hex()}')
    kind = message[0]
    if kind != TRANSPORT and len(message) != LENGTHS[kind]:
        raise Wrong(f'a message of type {kind} with {len(message)} bytes')
    if kind == TRANSPORT and len(message) < 32:
        raise Wrong(f'a transport message of {len(message)} bytes')
    return kind


class Session:
    """Both keys of one session, our counter, and which counters of the other's we have seen."""

    def __init__(self, send_key, receive_key, ours, theirs):
        self.send_key, self.receive_key, self.ours, self.theirs = send_key, receive_key, ours, theirs
        self.counter = 0
        self.seen = set()

    def seal(self, packet):
        header = struct.pack('<IIQ', TRANSPORT, self.theirs, self.counter)
        padded = packet + bytes(-len(packet) % 16)
        message = header + seal(self.send_key, self.counter, padded, b'')
        self.counter += 1
        return message

    def open(self, message):
        receiver, counter = struct.unpack_from('<IQ', message, 4)
        if receiver != self.ours:
            raise Wrong(f'receiver {receiver:08x}, which we did not give')
        if counter in self.seen:
            raise Wrong(f'counter {counter} again')
        packet = open_sealed(self.receive_key, counter, message[16:], b'', 'a transport message')
        self.seen.add(counter)
        return packet


class Initiator:
    def __init__(self, private, their_public, index):
        self.private, self.public, self.index = private, their_public, index
        self.ephemeral = PrivateKey()
        chaining = digest(CONSTRUCTION)
        state = digest(digest(chaining, IDENTIFIER), their_public)
        chaining, = kdf(chaining, self.ephemeral.public, 1)
        state = digest(state, self.ephemeral.public)
        chaining, key = kdf(chaining, self.ephemeral.shared(their_public), 2)
        sealed_static = seal(key, 0, private.public, state)
        state = digest(state, sealed_static)
        chaining, key = kdf(chaining, private.shared(their_public), 2)
        sealed_time = seal(key, 0, tai64n(), state)
        self.chaining, self.state = chaining, digest(state, sealed_time)
        self.message = with_macs(their_public, struct.pack('<II', INITIATION, index) + self.ephemeral.public +
                                 sealed_static + sealed_time)

    def finish(self, message):
        sender, receiver = struct.unpack_from('<II', message, 4)
        if receiver != self.index:
            raise Wrong('a response to somebody else')
        if message[60:76] != mac1_of(self.private.public, message):
            raise Wrong('a response with a wrong mac1')
        ephemeral, sealed_nothing = message[12:44], message[44:60]
        chaining, = kdf(self.chaining, ephemeral, 1)
        state = digest(self.state, ephemeral)
        chaining, = kdf(chaining, self.ephemeral.shared(ephemeral), 1)
        chaining, = kdf(chaining, self.private.shared(ephemeral), 1)
        chaining, extra, key = kdf(chaining, bytes(32), 3)
        state = digest(state, extra)
        open_sealed(key, 0, sealed_nothing, state, 'a response')
        send, receive = kdf(chaining, b'', 2)
        return Session(send, receive, self.index, sender)


def respond(private, their_public, index, message):
    """Answers an initiation that must come from the owner of `their_public`: the response, and the session."""
    sender, = struct.unpack_from('<I', message, 4)
    ephemeral, sealed_static, sealed_time = message[8:40], message[40:88], message[88:116]
    if message[116:132] != mac1_of(private.public, message):
        raise Wrong('an initiation with a wrong mac1')
    chaining = digest(CONSTRUCTION)
    state = digest(digest(chaining, IDENTIFIER), private.public)
    chaining, = kdf(chaining, ephemeral, 1)
    state = digest(state, ephemeral)
    chaining, key = kdf(chaining, private.shared(ephemeral), 2)
    static = open_sealed(key, 0, sealed_static, state, "an initiation's key")
    if static != their_public:
        raise Wrong('an initiation by a stranger')
    state = digest(state, sealed_static)
    chaining, key = kdf(chaining, private.shared(static), 2)
    stamp = open_sealed(key, 0, sealed_time, state, "an initiation's time")
    if not stamp.startswith(b'\x40'):
        raise Wrong(f'{stamp.hex()} is no TAI64N label')
    state = digest(state, sealed_time)

    answer = PrivateKey()
    chaining, = kdf(chaining, answer.public, 1)
    state = digest(state, answer.public)
    chaining, = kdf(chaining, answer.shared(ephemeral), 1)
    chaining, = kdf(chaining, answer.shared(static), 1)
    chaining, extra, key = kdf(chaining, bytes(32), 3)
    state = digest(state, extra)
    response = struct.pack('<III', RESPONSE, index, sender) + answer.public + seal(key, 0, b'', state)
    receive, send = kdf(chaining, b'', 2)
    return with_macs(their_public, response), Session(send, receive, index, sender)
