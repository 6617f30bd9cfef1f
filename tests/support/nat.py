#!/usr/bin/env python3
"""How a gateway maps and filters UDP, seen by two kinds of program: a probe after RFC 5780 and two peers that punch holes
(RFC 5128 section 3.3).

    nat.py server FIRST SECOND      STUN (RFC 8489) and a rendezvous on two addresses of one host; prints `ready`
    nat.py probe FIRST SECOND       RFC 5780 sections 4.3 and 4.4; prints what was found
    nat.py punch NAME OTHER FIRST SECOND
                                    registers NAME, learns where OTHER is, and talks to it
    nat.py listen FIRST             prints its mapped address, then what comes to it, until the end of standard input
    nat.py hairpin FIRST            two sockets of this client talk to each other by their mapped addresses
"""
import os
import select
import socket
import struct
import sys
import time

PORT, OTHER_PORT, RENDEZVOUS = 3478, 3479, 3480
COOKIE = 0x2112A442
BINDING, BINDING_ANSWER = 0x0001, 0x0101
CHANGE_REQUEST, XOR_MAPPED_ADDRESS, RESPONSE_ORIGIN, OTHER_ADDRESS = 0x0003, 0x0020, 0x802B, 0x802C
CHANGE_IP, CHANGE_PORT = 4, 2
PATIENCE = 10  # seconds; what takes longer has failed


def family_of(host):
    return socket.AF_INET6 if ':' in host else socket.AF_INET


def bound(host, port=0):
    sock = socket.socket(family_of(host), socket.SOCK_DGRAM)
    sock.bind((host, port))
    return sock


def client_socket(host):
    return bound('::' if ':' in host else '0.0.0.0')


# --- STUN ---

def attribute(kind, value):
    return struct.pack('!HH', kind, len(value)) + value + bytes(-len(value) % 4)


def address_attribute(kind, endpoint, mask=b''):
    host = socket.inet_pton(family_of(endpoint[0]), endpoint[0])
    port = endpoint[1]
    if mask:
        host = bytes(a ^ b for a, b in zip(host, mask))
        port ^= COOKIE >> 16
    return attribute(kind, struct.pack('!BBH', 0, 1 if len(host) == 4 else 2, port) + host)


def read_address(value, mask=b''):
    _, family, port = struct.unpack_from('!BBH', value)
    host = value[4:8] if family == 1 else value[4:20]
    if mask:
        host = bytes(a ^ b for a, b in zip(host, mask))
        port ^= COOKIE >> 16
    return socket.inet_ntop(socket.AF_INET if family == 1 else socket.AF_INET6, host), port


def message(kind, transaction, attributes=b''):
    return struct.pack('!HHI', kind, len(attributes), COOKIE) + transaction + attributes


def read_message(data):
    """Kind, transaction, attributes; none: not STUN."""
    if len(data) < 20:
        return None
    kind, length, cookie = struct.unpack_from('!HHI', data)
    if cookie != COOKIE or length != len(data) - 20:
        return None
    attributes, at = {}, 20
    while at + 4 <= len(data):
        number, size = struct.unpack_from('!HH', data, at)
        attributes[number] = data[at + 4:at + 4 + size]
        at += 4 + size + -size % 4
    return kind, data[8:20], attributes


def mask_of(transaction):
    return struct.pack('!I', COOKIE) + transaction


def binding(sock, to, change=0, patience=1.0, attempts=3):
    """The mapped address that the server sees, and where its answer came from; none: no answer."""
    for _ in range(attempts):
        transaction = os.urandom(12)
        sock.sendto(message(BINDING, transaction, attribute(CHANGE_REQUEST, struct.pack('!I', change))), to)
        end = time.monotonic() + patience
        while (left := end - time.monotonic()) > 0 and select.select([sock], [], [], left)[0]:
            data, source = sock.recvfrom(2048)
            answer = read_message(data)
            if answer and answer[0] == BINDING_ANSWER and answer[1] == transaction:
                return read_address(answer[2][XOR_MAPPED_ADDRESS], mask_of(transaction)), source[:2]
    return None


def server(first, second):
    """Each socket may answer through another, as CHANGE-REQUEST asks."""
    hosts, ports = (first, second), (PORT, OTHER_PORT)
    sockets = {(a, p): bound(hosts[a], ports[p]) for a in (0, 1) for p in (0, 1)}
    meeting = bound(first, RENDEZVOUS)
    stranger = bound(second, RENDEZVOUS)
    names = {}
    print('ready', flush=True)
    while True:
        for sock in select.select([*sockets.values(), meeting], [], [])[0]:
            data, source = sock.recvfrom(2048)
            if sock is meeting:  # "NAME OTHER": who asks for whom
                name, other = data.decode().split()
                names[name] = source[:2]
                stranger.sendto(f'stranger {name}'.encode(), source)
                if other in names:
                    sock.sendto('{} {}'.format(*names[other]).encode(), source)
                continue
            query = read_message(data)
            if not query or query[0] != BINDING:
                continue
            a, p = next(key for key, value in sockets.items() if value is sock)
            change, = struct.unpack('!I', query[2].get(CHANGE_REQUEST, bytes(4)))
            a, p = a ^ bool(change & CHANGE_IP), p ^ bool(change & CHANGE_PORT)
            attributes = address_attribute(XOR_MAPPED_ADDRESS, source[:2], mask_of(query[1]))
            attributes += address_attribute(RESPONSE_ORIGIN, (hosts[a], ports[p]))
            attributes += address_attribute(OTHER_ADDRESS, (second, OTHER_PORT))
            sockets[a, p].sendto(message(BINDING_ANSWER, query[1], attributes), source)


def probe(first, second):
    sock = client_socket(first)
    seen = binding(sock, (first, PORT))
    if not seen:
        sys.exit('no answer: UDP is blocked')
    # Section 4.3: the other address, then the other port there.
    mapped = [seen[0]] + [answer and answer[0] for answer in (binding(sock, (second, PORT)), binding(sock, (second, OTHER_PORT)))]
    mapping = 'endpoint-independent'
    if mapped[1] != mapped[0]:
        mapping = 'address-dependent' if mapped[2] == mapped[1] else 'address and port-dependent'
    # Section 4.4, from a socket that has written to nobody but the first address and port.
    sock = client_socket(first)
    if not binding(sock, (first, PORT)):
        sys.exit('no answer')
    filtering = 'address and port-dependent'
    if (answer := binding(sock, (first, PORT), CHANGE_IP | CHANGE_PORT)) and answer[1] == (second, OTHER_PORT):
        filtering = 'endpoint-independent'
    elif (answer := binding(sock, (first, PORT), CHANGE_PORT)) and answer[1] == (first, OTHER_PORT):
        filtering = 'address-dependent'
    print(f'mapping: {mapping}; filtering: {filtering}')


def punch(name, other, first, second):
    sock = client_socket(first)
    end = time.monotonic() + PATIENCE
    there = stranger = answered = heard = None
    while time.monotonic() < end and not (heard and answered and stranger):
        sock.sendto(f'{name} {other}'.encode(), (first, RENDEZVOUS))
        if there:
            sock.sendto(f'hello from {name}'.encode(), there)
        while select.select([sock], [], [], 0.1)[0]:
            data, source = sock.recvfrom(2048)
            words, source = data.decode().split(), source[:2]
            if source == (first, RENDEZVOUS):
                there = words[0], int(words[1])
            elif source == (second, RENDEZVOUS):
                stranger = source
            elif words == ['hello', 'from', other]:
                heard = source
                sock.sendto(f'welcome from {name}'.encode(), source)
            elif words == ['welcome', 'from', other]:
                answered = source
    if not (heard and answered and stranger):
        sys.exit(f'{name}: {other} is at {there}; heard {heard}, answered {answered}, stranger {stranger}')
    if not heard == answered == there:
        sys.exit(f'{name}: {other} is at {there}, but heard from {heard} and answered from {answered}')
    print(f'{name} talks to {other} at {there[0]} {there[1]}; a stranger came through')


def listen(first):
    sock = client_socket(first)
    seen = binding(sock, (first, PORT))
    if not seen:
        sys.exit('no answer')
    print('{} {}'.format(*seen[0]), flush=True)
    while True:
        ready = select.select([sock, sys.stdin], [], [])[0]
        if sys.stdin in ready:
            return
        data, source = sock.recvfrom(2048)
        print('from {} {}: {}'.format(*source[:2], data.decode()), flush=True)
        sock.sendto(b'heard ' + data, source)


def hairpin(first):
    one, two = client_socket(first), client_socket(first)
    seen = binding(one, (first, PORT)), binding(two, (first, PORT))
    if None in seen:
        sys.exit('no answer')
    there = {one: seen[1][0], two: seen[0][0]}
    for here in (one, two):
        there_socket = two if here is one else one
        for _ in range(5):
            here.sendto(b'over there', there[here])
            if select.select([there_socket], [], [], 1)[0]:
                break
        else:
            sys.exit(f'nothing came from {there[there_socket]} to {there[here]}')
        data, source = there_socket.recvfrom(2048)
        if data != b'over there' or source[:2] != there[there_socket]:
            sys.exit(f'{data} from {source}, not from {there[there_socket]}')
    print('both ways, by the mapped addresses')


def main():
    programs = {function.__name__: function for function in (server, probe, punch, listen, hairpin)}
    if len(sys.argv) < 2 or sys.argv[1] not in programs:
        sys.exit(__doc__)
    programs[sys.argv[1]](*sys.argv[2:])


if __name__ == '__main__':
    main()
