#!/usr/bin/env python3
"""Stands between a WireGuard client and its gateway with the private keys of both, until a line comes on its standard input: shakes
hands with each in the other's name, opens every datagram, checks what is in it, and seals it again for the other side.

    middle.py --listen IP:PORT --gateway IP:PORT --keys CLIENT-PRIVATE GATEWAY-PRIVATE

Prints `listening`, at the end one JSON object. What is wrong is not passed on.
"""
import argparse
import base64
import collections
import json
import random
import select
import socket
import struct
import sys

import wireguard
from wireguard import Wrong


def endpoint(text):
    host, port = text.rsplit(':', 1)
    return host, int(port)


def internet_sum(data):
    """RFC 1071; 0xffff when a checksum within is right."""
    data += b'\0' * (len(data) % 2)
    total = sum(struct.unpack(f'!{len(data) // 2}H', data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return total


def check_packet(padded):
    """A whole IPv4 packet with right checksums, and zeros behind it; without them."""
    if len(padded) < 20 or padded[0] >> 4 != 4:
        raise Wrong('no IPv4 packet inside')
    header, size = (padded[0] & 15) * 4, struct.unpack_from('!H', padded, 2)[0]
    if size > len(padded) or any(padded[size:]) or len(padded) - size > 15:
        raise Wrong(f'{size} bytes inside, padded to {len(padded)}')
    packet = padded[:size]
    if internet_sum(packet[:header]) != 0xffff:
        raise Wrong('a wrong IPv4 checksum inside')
    protocol, fragment = packet[9], struct.unpack_from('!H', packet, 6)[0] & 0x3fff
    if not fragment and protocol in (socket.IPPROTO_TCP, socket.IPPROTO_UDP):
        pseudo = packet[12:20] + struct.pack('!HH', protocol, size - header)
        if internet_sum(pseudo + packet[header:]) != 0xffff:
            raise Wrong('a wrong TCP or UDP checksum inside')
    return packet


class Side:
    """One of the two, to whom we are the other."""

    def __init__(self, name, ours, their_public):
        self.name, self.ours, self.public = name, ours, their_public
        self.session = None
        self.initiator = None
        self.sessions = {}  # by our index: packets of an old session may be under way
        self.waiting = collections.deque(maxlen=1000)
        self.opened = self.empty = self.bytes = 0

    def initiate(self):
        self.initiator = wireguard.Initiator(self.ours, self.public, random.getrandbits(32))
        return self.initiator.message

    def take_session(self, session):
        self.session = self.sessions[session.ours] = session
        self.initiator = None

    def receive(self, message):
        """What to send back, and the packet inside."""
        kind = wireguard.check_form(message)
        if kind == wireguard.INITIATION:
            response, session = wireguard.respond(self.ours, self.public, random.getrandbits(32), message)
            self.take_session(session)
            return response, None
        if kind == wireguard.RESPONSE:
            if not self.initiator:
                raise Wrong('a response that nobody waits for')
            self.take_session(self.initiator.finish(message))
            return self.session.seal(b''), None  # section 5.4.3: the responder waits for it
        if kind == wireguard.COOKIE_REPLY:
            raise Wrong('a cookie, without a flood')
        session = self.sessions.get(struct.unpack_from('<I', message, 4)[0])
        if not session:
            raise Wrong('a receiver index that we did not give')
        padded = session.open(message)
        self.opened += 1
        if not padded:
            self.empty += 1
            return None, None
        self.bytes += len(padded)
        return None, check_packet(padded)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--listen', type=endpoint, required=True)
    parser.add_argument('--gateway', type=endpoint, required=True)
    parser.add_argument('--keys', nargs=2, required=True)
    options = parser.parse_args()
    of_client, of_gateway = (wireguard.PrivateKey(base64.b64decode(key)) for key in options.keys)
    client = Side('client', of_gateway, of_client.public)
    gateway = Side('gateway', of_client, of_gateway.public)
    wrong = []
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, 33, 16 << 20)  # SO_RCVBUFFORCE
    sock.bind(options.listen)
    print('listening', flush=True)
    addresses = {'client': None, 'gateway': options.gateway}

    def handle(message, source):
        side, other = (gateway, client) if source == options.gateway else (client, gateway)
        addresses[side.name] = source
        try:
            answer, packet = side.receive(message)
        except Wrong as error:
            wrong.append(f'from the {side.name}: {error}')
            return
        if answer:
            sock.sendto(answer, source)
            while side.waiting:
                sock.sendto(side.session.seal(side.waiting.popleft()), source)
        if not packet:
            return
        if other.session:
            sock.sendto(other.session.seal(packet), addresses[other.name])
        else:
            other.waiting.append(packet)
            if not other.initiator:
                sock.sendto(other.initiate(), addresses[other.name])

    while True:
        ready = select.select([sock, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            break
        for _ in range(64):
            try:
                handle(*sock.recvfrom(65536, socket.MSG_DONTWAIT))
            except BlockingIOError:
                break
    for side in (client, gateway):
        if side.opened == side.empty:
            wrong.append(f'nothing came from the {side.name}')
    text = (f'opened {client.opened} up, {gateway.opened} down, {(client.bytes + gateway.bytes) / 1e6:.1f} MB of whole IP packets, '
            f'{client.empty + gateway.empty} empty; {len(wrong)} wrong')
    print(json.dumps({'seen': client.opened + gateway.opened, 'wrong': wrong[:5], 'text': '; '.join([text] + wrong[:5])}))


if __name__ == '__main__':
    main()
