#!/usr/bin/env python3
"""Takes every datagram between a client's port and its gateway off the wire until a line comes on its standard input, then checks that a third
party sees WireGuard and nothing else: types, lengths, mac1, indices and counters of each.

    tap.py --device NAME --client IP --port PORT --gateway IP --keys CLIENT-PUBLIC GATEWAY-PUBLIC --mtu BYTES

Prints one JSON object. Needs the device to carry single datagrams (gso_max_segs 1): what a cable would carry.
"""
import argparse
import base64
import collections
import json
import select
import socket
import struct
import sys

import wireguard
from wireguard import Wrong

SOL_PACKET, PACKET_STATISTICS, SO_RCVBUFFORCE = 263, 6, 33


def capture(device):
    """Frames until standard input ends; and how many the kernel had no room for."""
    frames = []
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3)) as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 512 << 20)
        sock.bind((device, 3))
        print('watching', flush=True)
        ended = False
        while True:
            ready = select.select([sock] if ended else [sock, sys.stdin], [], [], 0 if ended else None)[0]
            if sock in ready:
                for _ in range(1000):
                    try:
                        frames.append(sock.recv(65536, socket.MSG_DONTWAIT))
                    except BlockingIOError:
                        break
            elif ended:
                break
            if sys.stdin in ready:
                sys.stdin.readline()
                ended = True
        _, lost = struct.unpack('II', sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
    return frames, lost


def datagrams(frames, client, port, gateway):
    """(source, destination, UDP payload) of those between the two; other clients of that address have other ports."""
    for frame in frames:
        if len(frame) < 28 or frame[0] >> 4 != 4 or frame[9] != socket.IPPROTO_UDP:
            continue
        source, destination = socket.inet_ntoa(frame[12:16]), socket.inet_ntoa(frame[16:20])
        header = (frame[0] & 15) * 4
        source_port, destination_port, size = struct.unpack_from('!HHH', frame, header)
        if (source, source_port, destination) != (client, port, gateway) and \
                (source, destination, destination_port) != (gateway, client, port):
            continue
        if struct.unpack_from('!H', frame, 2)[0] != header + size:
            raise Wrong('an IP packet that is not one datagram')
        yield source, destination, frame[header + 8:header + size]


class Watcher:
    def __init__(self, keys, mtu):
        self.keys, self.mtu = keys, mtu  # public keys by address
        self.given = {}  # (address, index that its owner gave): the next counter to it
        self.counts = collections.Counter()

    def see(self, source, destination, message):
        kind = wireguard.check_form(message)
        self.counts[kind] += 1
        if kind in (wireguard.INITIATION, wireguard.RESPONSE):
            if message[-32:-16] != wireguard.mac1_of(self.keys[destination], message):
                raise Wrong('a handshake message with a wrong mac1')
            sender, receiver = struct.unpack_from('<II', message, 4)
            if kind == wireguard.RESPONSE and (destination, receiver) not in self.given:
                raise Wrong('a response to an initiation that nobody sent')
            self.given[source, sender] = 0
        if kind == wireguard.TRANSPORT:
            receiver, counter = struct.unpack_from('<IQ', message, 4)
            size = len(message) - 32
            if size % 16 and size != self.mtu:
                raise Wrong(f'a packet padded to {size} bytes')
            if size > self.mtu:
                raise Wrong(f'a packet of {size} bytes, over the MTU')
            if (destination, receiver) not in self.given:
                raise Wrong(f'receiver {receiver:08x}, which nobody gave')
            if counter != self.given[destination, receiver]:
                raise Wrong(f'counter {counter} after {self.given[destination, receiver] - 1}')
            self.given[destination, receiver] += 1


def main():
    parser = argparse.ArgumentParser()
    for name in ('device', 'client', 'gateway'):
        parser.add_argument('--' + name, required=True)
    parser.add_argument('--port', type=int, required=True)
    parser.add_argument('--keys', nargs=2, required=True)
    parser.add_argument('--mtu', type=int, default=1420)
    options = parser.parse_args()
    frames, lost = capture(options.device)
    keys = [base64.b64decode(key) for key in options.keys]
    watcher = Watcher({options.client: keys[0], options.gateway: keys[1]}, options.mtu)
    wrong = [f'{lost} frames that there was no room for'] if lost else []
    ways = collections.Counter()
    try:
        for source, destination, message in datagrams(frames, options.client, options.port, options.gateway):
            ways[source] += 1
            try:
                watcher.see(source, destination, message)
            except Wrong as error:
                wrong.append(f'{source} > {destination}: {error}')
    except Wrong as error:
        wrong.append(str(error))
    counts = watcher.counts
    if not counts[wireguard.INITIATION] or not counts[wireguard.RESPONSE]:
        wrong.append('no handshake was seen')
    text = (f'{ways[options.client]} up, {ways[options.gateway]} down: {counts[1]} initiations, {counts[2]} responses, '
            f'{counts[3]} cookies, {counts[4]} transport; {len(wrong)} wrong')
    print(json.dumps({'seen': sum(ways.values()), 'wrong': wrong[:5], 'text': '; '.join([text] + wrong[:5])}))


if __name__ == '__main__':
    main()
