#!/usr/bin/env python3
"""DNS for the end-to-end tests.

dns.py zones FOLDER                     writes example.zone and reverse.zone: 100 names with records of every type below
dns.py compare UPSTREAM OTHER NAMES     asks both everything about the first NAMES names of those zones, over UDP (plain and
                                        with EDNS) and TCP, OTHER twice (the second time it may have it in a cache); prints
                                        what differs, exit 1 then
dns.py flood SERVER COUNT DOMAIN        COUNT questions for different names below DOMAIN as fast as they leave; prints how
                                        many were answered
dns.py steady SERVER SECONDS DOMAIN     one question after the other for different names below DOMAIN; prints, as JSON, how many
                                        were asked, how many failed, and the slowest answer in seconds
dns.py resolver HOLE [ADDRESS]          answers 192.0.2.1 to everything, after a moment, but nothing below HOLE
"""
import heapq
import json
import os
import random
import selectors
import socket
import struct
import sys
import time

TYPES = {'A': 1, 'NS': 2, 'CNAME': 5, 'SOA': 6, 'PTR': 12, 'MX': 15, 'TXT': 16, 'AAAA': 28, 'SRV': 33, 'NAPTR': 35,
         'HTTPS': 65, 'ANY': 255, 'CAA': 257}
OPT = 41
TC = 0x0200
NAMES = 100
PATIENCE = 3  # seconds for an answer; then it is asked again
WINDOW = 24   # questions under way at once


def names_of(n):
    """Every question about name number n."""
    name = f'n{n}.example.test'
    for kind in ('A', 'AAAA', 'MX', 'TXT', 'SRV', 'CAA', 'HTTPS', 'ANY'):
        yield name, kind
    yield f'{n}.2.0.192.in-addr.arpa', 'PTR'
    yield f'nobody{n}.example.test', 'A'  # NXDOMAIN
    yield f'nobody{n}.example.test', 'ANY'
    yield name, 'NAPTR'  # NODATA
    yield f'chain{n}.example.test', 'A'  # CNAMEs, to an address, to nothing of that type, to a name that is not there
    yield f'chain{n}.example.test', 'NAPTR'
    yield f'lost{n}.example.test', 'AAAA'
    yield f'any.thing{n}.wild.example.test', 'TXT'


def write_zones(folder):
    lines = ['$ORIGIN example.test.', '$TTL 3600', '@ SOA ns root 1 3600 600 86400 300', '@ NS ns', 'ns A 203.0.113.2',
             '*.wild TXT "caught" "by a wildcard"']
    reverse = ['$ORIGIN 2.0.192.in-addr.arpa.', '$TTL 1800', '@ SOA ns.example.test. root.example.test. 1 3600 600 86400 120',
               '@ NS ns.example.test.']
    for n in range(1, NAMES + 1):
        name = f'n{n}'
        lines += [f'{name} {60 + n} A 192.0.2.{n}'] + [f'{name} {60 + n} A 198.51.100.{k + 1}' for k in range(n % 4)]
        lines += [f'{name} AAAA 2001:db8::{n:x}', f'{name} AAAA 2001:db8:1::{n:x}']
        lines += [f'{name} MX {k * 10} mx{k}.{name}' for k in range(1, 2 + n % 3)] + [f'mx1.{name} A 192.0.2.{n}']
        lines += [f'{name} TXT "v=spf1 -all" "{"t" * (n * 2)}"', f'{name} TXT "{"u" * 200}"' if n % 10 == 0 else '']
        lines += [f'{name} TXT "{chr(97 + k) * 250}"' for k in range(8 if n % 25 == 0 else 0)]
        lines += [f'{name} SRV {n} 2 {443 + n} {name}', f'{name} CAA 0 issue "ca{n}.example.net"',
                  f'{name} HTTPS 1 . alpn=h2,h3 port={443 + n}']
        depth = n % 8
        lines += [f'chain{n} CNAME c0.chain{n}'] + [f'c{k}.chain{n} CNAME c{k + 1}.chain{n}' for k in range(depth)]
        lines += [f'c{depth}.chain{n} CNAME {name}', f'lost{n} 30 CNAME not.here{n}']
        reverse += [f'{n} PTR {name}.example.test.']
    for name, content in (('example', lines), ('reverse', reverse)):
        with open(os.path.join(folder, name + '.zone'), 'w') as file:
            file.write('\n'.join(content) + '\n')


def encode_name(name):
    return b''.join(bytes([len(part)]) + part.encode() for part in name.split('.') if part) + b'\0'


def query(ident, name, kind, udp_size=None):
    message = struct.pack('!6H', ident, 0x0100, 1, 0, 0, 1 if udp_size else 0) + encode_name(name)
    message += struct.pack('!2H', TYPES[kind], 1)
    return message + (b'\0' + struct.pack('!HHIH', OPT, udp_size, 0, 0) if udp_size else b'')


def read_name(message, at):
    """The name at `at` in lower case, and where what follows begins."""
    labels, after = [], None
    while message[at]:
        if message[at] >= 0xc0:
            after = after or at + 2
            at = struct.unpack_from('!H', message, at)[0] & 0x3fff
            continue
        labels.append(message[at + 1:at + 1 + message[at]])
        at += 1 + message[at]
    return b'.'.join(labels).lower(), after or at + 1


def read_data(message, at, size, kind):
    names = {TYPES['NS']: 0, TYPES['CNAME']: 0, TYPES['PTR']: 0, TYPES['MX']: 2}
    if kind in names:
        skip = names[kind]
        return message[at:at + skip], read_name(message, at + skip)[0]
    if kind == TYPES['SOA']:
        first, after = read_name(message, at)
        second, after = read_name(message, after)
        return first, second, message[after:at + size]
    return message[at:at + size]


class Response:
    def __init__(self, message):
        _, self.flags, questions, *counts = struct.unpack_from('!6H', message)
        self.code, self.truncated = self.flags & 15, bool(self.flags & TC)
        at = 12
        for _ in range(questions):
            at = read_name(message, at)[1] + 4
        self.sections, self.ttls = [], {}
        for count in counts:
            records = set()
            for _ in range(count):
                name, at = read_name(message, at)
                kind, klass, ttl, size = struct.unpack_from('!HHIH', message, at)
                record = (name, kind, klass, read_data(message, at + 10, size, kind))
                at += 10 + size
                if kind == OPT:
                    continue
                if record in records:
                    raise ValueError(f'twice in one section: {record}')
                records.add(record)
                self.ttls[record] = ttl
            self.sections.append(records)
        if at != len(message):
            raise ValueError(f'{len(message) - at} bytes behind the last record')


def differences(expected, got, slack):
    """What a client could tell the two apart by; `slack` seconds may have passed since a cache was filled."""
    if got.code != expected.code:
        yield f'code {got.code}, not {expected.code}'
    if got.truncated != expected.truncated:
        yield f'truncated {got.truncated}, not {expected.truncated}'
    if got.truncated:
        return  # what a truncated message still holds is nobody's to use (RFC 2181 section 9)
    for section, want, have in zip(('answer', 'authority', 'additional'), expected.sections, got.sections):
        if want != have:
            yield f'{section}: missing {sorted(map(str, want - have))}, too much {sorted(map(str, have - want))}'
        for record in want & have:
            age = expected.ttls[record] - got.ttls[record]
            if not 0 <= age <= slack:
                yield f'{section}: TTL {got.ttls[record]} of {record}, not {expected.ttls[record]}'


def udp_socket(server):
    sock = socket.socket(socket.AF_INET6 if ':' in server else socket.AF_INET, socket.SOCK_DGRAM)
    sock.connect((server, 53))
    return sock


def ask_udp(server, questions, udp_size):
    """The answers to all questions, WINDOW at a time."""
    sock, answers, sent, tries = udp_socket(server), {}, {}, {}
    sock.settimeout(0.05)
    waiting = list(range(len(questions)))[::-1]
    while waiting or sent:
        while waiting and len(sent) < WINDOW:
            number = waiting.pop()
            tries[number] = tries.get(number, 0) + 1
            if tries[number] > 5:
                sys.exit(f'{server} does not answer {questions[number]}')
            sent[number] = time.monotonic() + PATIENCE
            sock.send(query(number, *questions[number], udp_size))
        try:
            message = sock.recv(65535)
            number = struct.unpack_from('!H', message)[0]
            if number in sent:
                del sent[number]
                if len(message) > (udp_size or 512):
                    sys.exit(f'{server}: {len(message)} bytes for {questions[number]}')
                answers[number] = Response(message)
        except (TimeoutError, ConnectionRefusedError):
            pass
        for number in [number for number, until in sent.items() if until < time.monotonic()]:
            del sent[number]
            waiting.append(number)
    return answers


def ask_tcp(server, questions):
    with socket.create_connection((server, 53), timeout=10) as sock:
        stream, answers = sock.makefile('rb'), {}
        for start in range(0, len(questions), WINDOW):
            batch = range(start, min(start + WINDOW, len(questions)))
            messages = [query(number, *questions[number]) for number in batch]
            sock.sendall(b''.join(struct.pack('!H', len(message)) + message for message in messages))
            for _ in batch:
                message = stream.read(struct.unpack('!H', stream.read(2))[0])
                answers[struct.unpack_from('!H', message)[0]] = Response(message)
    return answers


def compare(upstream, other, count):
    questions = [question for n in range(1, count + 1) for question in names_of(n)]
    begin, found, codes, truncated = time.monotonic(), 0, {}, 0
    ways = {'UDP': lambda server: ask_udp(server, questions, None),
            'UDP with EDNS': lambda server: ask_udp(server, questions, 1232),
            'TCP': lambda server: ask_tcp(server, questions)}
    for way, ask in ways.items():
        expected = ask(upstream)
        for turn in ('first', 'again'):
            got = ask(other)
            slack = time.monotonic() - begin + 1
            for number, question in enumerate(questions):
                for difference in differences(expected[number], got[number], slack):
                    found += 1
                    print(f'{way}, {turn}, {question}: {difference}')
        for answer in expected.values():
            codes[answer.code] = codes.get(answer.code, 0) + 1
            truncated += answer.truncated
    print(f'{len(questions)} questions, {len(ways)} ways, {found} differences; codes {codes}, {truncated} truncated')
    return 1 if found else 0


def flood(server, count, domain):
    sock, answered = udp_socket(server), 0
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.setblocking(False)
    tag = random.randrange(1 << 32)
    selector = selectors.DefaultSelector()
    selector.register(sock, selectors.EVENT_READ | selectors.EVENT_WRITE)
    for number in range(count):
        try:
            sock.send(query(number & 0xffff, f'f{number}-{tag}.{domain}', 'A'))
        except BlockingIOError:
            selector.select(1)
        except ConnectionRefusedError:
            pass
        if number % 16:
            continue
        try:
            while True:
                sock.recv(4096)
                answered += 1
        except (BlockingIOError, ConnectionRefusedError):
            pass
    print(answered)


def steady(server, duration, domain):
    sock, asked, failed, slowest = udp_socket(server), 0, 0, 0.0
    sock.settimeout(5)
    end, tag = time.monotonic() + duration, random.randrange(1 << 32)
    while time.monotonic() < end:
        begin = time.monotonic()
        sock.send(query(asked & 0xffff, f's{asked}-{tag}.{domain}', 'A'))
        try:
            while struct.unpack_from('!H', message := sock.recv(4096))[0] != asked & 0xffff:
                pass
            answer = Response(message)
            failed += answer.code != 0 or not answer.sections[0]
        except TimeoutError:
            failed += 1
        slowest = max(slowest, time.monotonic() - begin)
        asked += 1
    print(json.dumps({'asked': asked, 'failed': failed, 'slowest': round(slowest, 4)}))


def resolver(hole, address='0.0.0.0'):
    """Every answer takes a network's time: who waits for one must not keep others waiting."""
    family = socket.AF_INET6 if ':' in address else socket.AF_INET
    delay, late, sock = 0.005, [], socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
    sock.bind((address, 53))
    while True:
        sock.settimeout(max(late[0][0] - time.monotonic(), 0.0001) if late else None)
        try:
            message, source = sock.recvfrom(4096)
            name, after = read_name(message, 12)
            if not name.endswith(hole.encode()):
                head = message[:2] + struct.pack('!5H', 0x8180, 1, 1, 0, 0)
                answer = b'\xc0\x0c' + struct.pack('!HHIH', 1, 1, 60, 4) + bytes([192, 0, 2, 1])
                heapq.heappush(late, (time.monotonic() + delay, head + message[12:after + 4] + answer, source))
        except TimeoutError:
            pass
        while late and late[0][0] <= time.monotonic():
            _, answer, source = heapq.heappop(late)
            sock.sendto(answer, source)


def main(what, *words):
    if what == 'zones':
        write_zones(words[0])
    elif what == 'compare':
        sys.exit(compare(words[0], words[1], int(words[2])))
    elif what == 'flood':
        flood(words[0], int(words[1]), words[2])
    elif what == 'steady':
        steady(words[0], float(words[1]), words[2])
    elif what == 'resolver':
        resolver(*words)


if __name__ == '__main__':
    main(*sys.argv[1:])
