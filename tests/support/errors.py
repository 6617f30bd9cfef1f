#!/usr/bin/env python3
"""Errors as an ordinary program of the client sees them, one row each: errors.py GROUP. Prints a line per row that says
what came; exits 1 when one came otherwise. The network that answers is tests/support/far_net.sh.
`errors.py serve-headers`, on the far host, answers datagrams with the TTL and traffic class that they came with.

What is looked at is a socket's own: errno of connect(), send() and recv(), and the message in its error queue (ip(7),
IP_RECVERR): ICMP type and code, who sent it, the path's MTU.
"""
import errno
import os
import select
import socket
import struct
import sys

IP_RECVERR, IPV6_RECVERR = 11, 25
IP_MTU_DISCOVER, IPV6_MTU_DISCOVER, PMTUDISC_DO = 10, 23, 2
ICMP_ORIGINS = (2, 3)  # SO_EE_ORIGIN_ICMP, SO_EE_ORIGIN_ICMP6
PATIENCE = 3  # seconds until an answer is missing
SILENCE = 1.3  # without an answer for so long: a SYN has been repeated once

GATEWAY = {4: '10.7.0.1', 6: 'fd07::1'}
ROUTER = {4: '198.18.0.2', 6: '2001:db8:18::2'}


def far(net, family):
    """Host 1 of the network that answers with error number `net`; net 1: the far host itself."""
    host = 2 if net == 1 else 1
    return f'198.18.{net}.{host}' if family == 4 else f'2001:db8:18:{net}::{host}'


class Seen:
    """What a socket learned: errno's name, ICMP type and code, who said so, the MTU."""

    def __init__(self, error='', icmp=None, by='', mtu=0):
        self.error, self.icmp, self.by, self.mtu = error, icmp, by, mtu

    def __eq__(self, other):
        return (self.error, self.icmp, self.by, self.mtu) == (other.error, other.icmp, other.by, other.mtu)

    def __str__(self):
        text = self.error or 'silence'
        if self.icmp:
            text += f', ICMP {self.icmp[0]}/{self.icmp[1]} from {self.by}'
        return text + (f', MTU {self.mtu}' if self.mtu else '')


def name_of(number):
    return errno.errorcode.get(number, str(number))


def open_socket(family, kind, protocol=0):
    sock = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, kind, protocol)
    sock.setblocking(False)
    if family == 4:
        sock.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
    return sock


def set_ttl(sock, family, ttl):
    if family == 4:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, ttl)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, ttl)


def dont_fragment(sock, family):
    if family == 4:
        sock.setsockopt(socket.IPPROTO_IP, IP_MTU_DISCOVER, PMTUDISC_DO)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, IPV6_MTU_DISCOVER, PMTUDISC_DO)


def queued(sock):
    """The message in the socket's error queue, none if there is none."""
    try:
        _, control, _, _ = sock.recvmsg(2048, 512, socket.MSG_ERRQUEUE)
    except OSError:
        return None
    for level, kind, data in control:
        if (level, kind) not in ((socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)):
            continue
        code, origin, icmp_type, icmp_code, _, info, _ = struct.unpack_from('=IBBBBII', data)
        by = ''
        if origin in ICMP_ORIGINS:
            by = socket.inet_ntop(socket.AF_INET, data[20:24]) if level == socket.IPPROTO_IP else \
                socket.inet_ntop(socket.AF_INET6, data[24:40])
        return Seen(name_of(code), (icmp_type, icmp_code) if by else None, by, info if code == errno.EMSGSIZE else 0)
    return None


def tcp(family, address, port=7, ttl=None):
    """connect()"""
    with open_socket(family, socket.SOCK_STREAM) as sock:
        if ttl:
            set_ttl(sock, family, ttl)
        sock.connect_ex((address, port))
        poller = select.poll()
        poller.register(sock, select.POLLOUT)
        error = 0
        while error == 0:
            events = poller.poll(SILENCE * 1000)
            if not events:
                return Seen()
            error = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            # The kernel wakes for the queue's message a moment before the connection has its error.
            if error == 0 and not events[0][1] & select.POLLERR:
                return Seen('connected')
        seen = queued(sock) or Seen()
        seen.error = name_of(error)
        return seen


def exchange(sock, data, patience):
    """Sends on a connected datagram socket; what comes back, or the error."""
    poller = select.poll()
    poller.register(sock, select.POLLIN)
    try:
        sock.send(data)
    except OSError as error:
        return queued(sock) or Seen(name_of(error.errno))
    if not poller.poll(patience * 1000):
        return Seen()
    if seen := queued(sock):
        return seen
    try:
        return Seen(f'{len(sock.recv(65536))} bytes')
    except OSError as error:
        return Seen(name_of(error.errno))


def udp(family, address, port=9, ttl=None, size=1, whole=False, patience=None):
    """send(), then recv()"""
    with open_socket(family, socket.SOCK_DGRAM) as sock:
        if ttl:
            set_ttl(sock, family, ttl)
        if whole:
            dont_fragment(sock, family)
        sock.connect((address, port))
        return exchange(sock, b'x' * size, patience or SILENCE)


def echo(family, address, ttl=None, size=8, whole=False):
    """ping's own kind of socket"""
    protocol = socket.IPPROTO_ICMP if family == 4 else socket.IPPROTO_ICMPV6
    with open_socket(family, socket.SOCK_DGRAM, protocol) as sock:
        if ttl:
            set_ttl(sock, family, ttl)
        if whole:
            dont_fragment(sock, family)
        sock.connect((address, 0))
        return exchange(sock, struct.pack('!BBHHH', 8 if family == 4 else 128, 0, 0, 0, 1) + b'x' * size, SILENCE)


# what happens, number of the network, errno and ICMP type and code by IPv4 and by IPv6 (none: silence), who says so
DESTINATIONS = [
    ('a router has no route', 10, ('ENETUNREACH', 3, 0), ('ENETUNREACH', 1, 0), ROUTER),
    ('a router cannot reach the host', 11, ('EHOSTUNREACH', 3, 1), ('EHOSTUNREACH', 1, 3), ROUTER),
    ('a router prohibits it', 12, ('EHOSTUNREACH', 3, 13), ('EACCES', 1, 1), ROUTER),
    ('a firewall prohibits the host', 13, ('EHOSTUNREACH', 3, 10), ('EACCES', 1, 5), ROUTER),
    ('a firewall prohibits the network', 14, ('ENETUNREACH', 3, 9), ('EACCES', 1, 6), ROUTER),
    ('a firewall says the port is closed', 15, ('ECONNREFUSED', 3, 3), ('ECONNREFUSED', 1, 4), ROUTER),
    ('a firewall says no such protocol', 16, ('ENOPROTOOPT', 3, 2), 'IPv4 only', ROUTER),
    ('a router loses it', 17, None, None, None),
    ('the host has an unreachable route', 20, ('EHOSTUNREACH', 3, 1), ('EHOSTUNREACH', 1, 3), None),
    ('the host has a prohibiting route', 21, ('EHOSTUNREACH', 3, 13), ('EACCES', 1, 1), None),
    ('the host has a black hole for a route', 22, None, None, None),
    ('the host has no route', 23, ('ENETUNREACH', 3, 0), ('ENETUNREACH', 1, 0), None),
]


def destinations():
    for what, net, v4, v6, reporter in DESTINATIONS:
        for family, expected in ((4, v4), (6, v6)):
            if expected == 'IPv4 only':
                continue
            address = far(net, family)
            for probe in (tcp, udp, echo):
                wanted = Seen()
                if expected:
                    # A connection's error comes as from its destination, whoever said so to the host.
                    by = address if probe is tcp or reporter is None else reporter[family]
                    wanted = Seen(expected[0], expected[1:], by)
                yield f'{what}, IPv{family}, {probe.__name__}', probe(family, address), wanted
    for family, unreachable in ((4, (3, 3)), (6, (1, 4))):
        host = far(1, family)
        yield f'nobody listens, IPv{family}, tcp', tcp(family, host, 9), Seen('ECONNREFUSED')
        yield f'nobody listens, IPv{family}, udp', udp(family, host), Seen('ECONNREFUSED', unreachable, host)
        own = GATEWAY[family]
        yield f'no service of the gateway, IPv{family}, tcp', tcp(family, own, 9), Seen('ECONNREFUSED')
        yield f'no service of the gateway, IPv{family}, udp', udp(family, own), Seen('ECONNREFUSED', unreachable, own)
    for family, address, name, icmp in ((4, '169.254.169.254', 'EHOSTUNREACH', (3, 13)), (6, 'fe80::1', 'EACCES', (1, 1)),
                                        (4, '203.0.113.1', 'EHOSTUNREACH', (3, 13)),
                                        (6, '2001:db8:203::1', 'EACCES', (1, 1))):
        if address.startswith('fe80'):  # no scope, no route: this kernel would not send it
            continue
        yield f'the policy forbids {address}, tcp', tcp(family, address), Seen('ECONNREFUSED')
        yield f'the policy forbids {address}, udp', udp(family, address), Seen(name, icmp, address)
        yield f'the policy forbids {address}, echo', echo(family, address), Seen(name, icmp, address)


def hops():
    """The TTL runs out at the gateway, at the router, and not at all."""
    for family in (4, 6):
        host = far(1, family)
        expired = (11, 0) if family == 4 else (3, 0)
        closed = Seen('ECONNREFUSED', (3, 3) if family == 4 else (1, 4), host)
        for ttl, by in ((1, GATEWAY), (2, ROUTER)):
            wanted = Seen('EHOSTUNREACH', expired, by[family])
            yield f'TTL {ttl}, IPv{family}, udp', udp(family, host, ttl=ttl), wanted
            yield f'TTL {ttl}, IPv{family}, echo', echo(family, host, ttl=ttl), wanted
            yield f'TTL {ttl}, IPv{family}, tcp', tcp(family, host, ttl=ttl), wanted
        yield f'TTL 3, IPv{family}, udp', udp(family, host, ttl=3), closed
        yield f'TTL 3, IPv{family}, echo', echo(family, host, ttl=3), Seen('16 bytes')
        yield f'TTL 3, IPv{family}, tcp', tcp(family, host, ttl=3), Seen('ECONNREFUSED')
        yield f'TTL 1 to the gateway, IPv{family}, echo', echo(family, GATEWAY[family], ttl=1), Seen('16 bytes')


def path_mtu():
    """A router's link is smaller than the tunnel's: whoever forbids fragments hears of it, others notice nothing."""
    for family in (4, 6):
        host = far(1, family)
        headers = 28 if family == 4 else 48
        too_big = (3, 4) if family == 4 else (2, 0)
        by = ROUTER[family]
        for probe, port, more in ((udp, {'port': 7000}, 0), (echo, {}, 8)):
            name = f'IPv{family}, {probe.__name__}'
            yield (f'1,400 bytes, whole, {name}', probe(family, host, size=1400 - headers, whole=True, **port),
                   Seen('EMSGSIZE', too_big, by, 1300))
            # From now on the host's kernel knows, and says so itself; this side's forgets.
            by = host
            yield (f'1,400 bytes, in fragments, {name}', probe(family, host, size=1400 - headers, **port),
                   Seen(f'{1400 - headers + more} bytes'))
            yield (f'1,300 bytes, whole, {name}', probe(family, host, size=1300 - headers, whole=True, **port),
                   Seen(f'{1300 - headers + more} bytes'))
            os.system(f'ip -{family} route flush cache')


def spread():
    """One socket writes to many: an error of one destination costs no other a datagram, nor the socket its mapping."""
    for family in (4, 6):
        host = far(1, family)
        wrong = [(host, 9)] + [(far(net, family), 7000) for net in (10, 11, 12, 17, 20, 21, 22, 23)]
        sock = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        sock.settimeout(PATIENCE)
        sock.sendto(b'?', (host, 7010))
        mapping = sock.recv(100)
        answers = 0
        for round in range(200):
            sock.sendto(b'x', wrong[round % len(wrong)])
            sock.sendto(b'%d' % round, (host, 7000))
            try:
                answers += sock.recv(100) == b'%d' % round
            except OSError:
                pass
        yield f'200 datagrams among errors, IPv{family}', Seen(f'{answers} answers'), Seen('200 answers')
        sock.sendto(b'?', (host, 7010))
        yield f'the mapping afterwards, IPv{family}', Seen(sock.recv(100).decode()), Seen(mapping.decode())


TTL_SENT, TTL_ANSWERED, PORT_OF_HEADERS = 33, 50, 7012
# DSCP "expedited forwarding" with each ECN codepoint (RFC 3168 section 5)
TRAFFIC_CLASSES = [46 << 2 | ecn for ecn in range(4)]


def with_headers(family):
    """A datagram socket that is told TTL and traffic class."""
    sock = socket.socket(socket.AF_INET if family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
    if family == 4:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_RECVTOS, 1)
        sock.setsockopt(socket.IPPROTO_IP, 12, 1)  # IP_RECVTTL
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVTCLASS, 1)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
    return sock


def set_traffic_class(sock, family, value):
    if family == 4:
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, value)
    else:
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, value)


def receive_with_headers(sock):
    """Data, TTL, traffic class, source."""
    data, control, _, source = sock.recvmsg(2048, 512)
    ttl = traffic_class = -1
    for _, kind, value in control:
        if kind in (socket.IP_TTL, socket.IPV6_HOPLIMIT):
            ttl = value[0]
        elif kind in (socket.IP_TOS, socket.IPV6_TCLASS):
            traffic_class = value[0]
    return data, ttl, traffic_class, source


def serve_headers():
    sockets = {}
    for family, any_address in ((4, '0.0.0.0'), (6, '::')):
        sock = with_headers(family)
        sock.bind((any_address, PORT_OF_HEADERS))
        set_ttl(sock, family, TTL_ANSWERED)
        sockets[sock] = family
    print('ready', flush=True)
    while True:
        for sock in select.select(list(sockets), [], [])[0]:
            _, ttl, traffic_class, source = receive_with_headers(sock)
            set_traffic_class(sock, sockets[sock], traffic_class)
            sock.sendto(f'TTL {ttl}, traffic class {traffic_class}'.encode(), source)


def headers():
    """TTL, DSCP and ECN of datagrams, there and back over the gateway and one router."""
    for family in (4, 6):
        for traffic_class in TRAFFIC_CLASSES:
            with with_headers(family) as sock:
                sock.settimeout(PATIENCE)
                set_ttl(sock, family, TTL_SENT)
                set_traffic_class(sock, family, traffic_class)
                sock.sendto(b'?', (far(1, family), PORT_OF_HEADERS))
                data, ttl, answered, _ = receive_with_headers(sock)
                seen = Seen(f'{data.decode()}; back TTL {ttl}, traffic class {answered}')
                yield (f'traffic class {traffic_class}, IPv{family}', seen,
                       Seen(f'TTL {TTL_SENT - 2}, traffic class {traffic_class}; '
                            f'back TTL {TTL_ANSWERED - 2}, traffic class {traffic_class}'))


def sent_to_many():
    """Broadcast and multicast are refused: with a reason when one address is meant that is only the host's to know."""
    for family, address, wanted in ((4, '255.255.255.255', Seen()), (4, '224.0.0.251', Seen()), (6, 'ff0e::fb', Seen()),
                                    (4, '203.0.113.255', Seen('EHOSTUNREACH', (3, 13), '203.0.113.255'))):
        with open_socket(family, socket.SOCK_DGRAM) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            sock.connect((address, 9))
            yield f'a datagram to {address}', exchange(sock, b'x', SILENCE), wanted


def main():
    if sys.argv[1:] == ['serve-headers']:
        serve_headers()
    groups = {function.__name__.replace('_', '-'): function for function in (destinations, hops, path_mtu, spread, headers, sent_to_many)}
    if len(sys.argv) != 2 or sys.argv[1] not in groups:
        sys.exit('errors.py: one of ' + ' '.join(groups))
    rows = wrong = 0
    for what, seen, wanted in groups[sys.argv[1]]():
        rows += 1
        if seen == wanted:
            print(f'{what}: {seen}', flush=True)
        else:
            wrong += 1
            print(f'WRONG {what}: {seen}; expected {wanted}', flush=True)
    print(f'{rows} rows, {wrong} wrong')
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
