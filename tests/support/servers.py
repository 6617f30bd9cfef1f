#!/usr/bin/env python3
"""The servers of the end-to-end tests, both families, one process. Prints `ready` when all listen.

TCP and UDP
    53    DNS for the zone in ZONE below
    7000  echo
TCP
    7001  sends "hello", half-closes, then reads to the end and answers on nobody's behalf: see /received
    7002  sends 20,000,000 bytes while reading; SHA-256 of what it read is at /received
    7003  accepts and never reads
    7004  resets the connection at the first byte
    7005  closes the connection after the client's end, without a byte (short connections)
    7006  reads to the end, keeps nothing, closes
    7007  sends without end
    8080  HTTP: /hello, /received (JSON list of {"port", "bytes", "sha256"} of finished connections), /address, /bytes/N
UDP
    7010, 7011  answer each datagram with the address and port that it came from
"""
import asyncio
import hashlib
import json
import socket
import struct
import sys

sys.path.insert(0, __file__.rsplit('/', 1)[0])
from pattern import pattern  # noqa: E402

received = []
held = []  # streams that must stay open

A, NS, CNAME, SOA, MX, TXT, AAAA, SRV, OPT, HTTPS = 1, 2, 5, 6, 15, 16, 28, 33, 41, 65


def encode_name(name):
    return b''.join(bytes([len(part)]) + part.encode() for part in name.split('.') if part) + b'\0'


def address(text):
    return socket.inet_pton(socket.AF_INET6 if ':' in text else socket.AF_INET, text)


ZONE = {
    'web.test': {A: [address('203.0.113.2')], AAAA: [address('2001:db8:203::2')], TXT: [b'\x0bhello there'],
                 MX: [struct.pack('!H', 10) + encode_name('mail.test')]},
    'four.test': {A: [address('203.0.113.2')]},
    'six.test': {AAAA: [address('2001:db8:203::2')]},
    'alias.test': {CNAME: [encode_name('web.test')]},
    'many.test': {A: [bytes([203, 0, 113, n]) for n in range(1, 200)]},
    'some.test': {A: [bytes([203, 0, 113, n]) for n in range(1, 41)]},
    'long.test': {TXT: [bytes([200]) + b'x' * 200 for _ in range(20)]},
    '_ssh._tcp.test': {SRV: [struct.pack('!HHH', 1, 2, 22) + encode_name('web.test')]},
    'https.test': {HTTPS: [struct.pack('!H', 1) + encode_name('') + struct.pack('!HH', 1, 3) + b'\x02h2']},
}
SOA_DATA = encode_name('ns.test') + encode_name('root.test') + struct.pack('!5I', 1, 3600, 600, 86400, 60)


def record(name, kind, data):
    return encode_name(name) + struct.pack('!HHIH', kind, 1, 60, len(data)) + data


def answer_dns(query, limit):
    """One question, one answer; truncated to `limit` or to what the query's OPT record allows."""
    ident, flags, questions, _, _, additional = struct.unpack_from('!6H', query)
    at, labels = 12, []
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    kind, = struct.unpack_from('!H', query, at + 1)
    question = query[12:at + 5]
    name = '.'.join(labels).lower()
    opt = b''
    if additional and query[at + 5] == 0 and struct.unpack_from('!H', query, at + 6)[0] == OPT:
        limit = max(limit, struct.unpack_from('!H', query, at + 8)[0])
        opt = b'\0' + struct.pack('!HHIH', OPT, 1232, 0, 0)
    node = ZONE.get(name)
    answers, authority, code = [], [], 0
    if node is None:
        code, authority = 3, [record('test', SOA, SOA_DATA)]
    elif CNAME in node and kind != CNAME:
        answers = [record(name, CNAME, node[CNAME][0])]
        answers += [record('web.test', kind, data) for data in ZONE['web.test'].get(kind, [])]
    elif kind in node:
        answers = [record(name, kind, data) for data in node[kind]]
    else:
        authority = [record('test', SOA, SOA_DATA)]
    flags = 0x8480 | (flags & 0x0100) | code
    body = question + b''.join(answers + authority) + opt
    if 12 + len(body) > limit:
        flags, answers, authority, body = flags | 0x0200, [], [], question + opt
    return struct.pack('!6H', ident, flags, 1, len(answers), len(authority), 1 if opt else 0) + body


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self, sock, reply):
        self.sock, self.reply = sock, reply

    def datagram_received(self, data, source):
        try:
            self.sock.sendto(self.reply(data, source), source)  # asyncio's own would send no empty one
        except BlockingIOError:
            pass  # as lost on the way


async def dns_tcp(reader, writer):
    try:
        while True:
            size, = struct.unpack('!H', await reader.readexactly(2))
            reply = answer_dns(await reader.readexactly(size), 65535)
            writer.write(struct.pack('!H', len(reply)) + reply)
            await writer.drain()
    except (asyncio.IncompleteReadError, OSError):
        writer.close()


async def read_all(reader, port):
    size, digest = 0, hashlib.sha256()
    while data := await reader.read(65536):
        size += len(data)
        digest.update(data)
    received.append({'port': port, 'bytes': size, 'sha256': digest.hexdigest()})


async def echo(reader, writer):
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
    except OSError:
        pass
    writer.close()


async def half_close_first(reader, writer):
    writer.write(b'hello')
    writer.write_eof()
    await read_all(reader, 7001)
    writer.close()


async def exchange(reader, writer):
    async def send():
        for start in range(0, 20_000_000, 1_000_000):
            writer.write(pattern('down', start, 1_000_000))
            await writer.drain()
        writer.write_eof()
    await asyncio.gather(send(), read_all(reader, 7002))
    writer.close()


async def never_read(reader, writer):
    writer.transport.pause_reading()
    held.append((reader, writer))


async def reset(reader, writer):
    await reader.read(1)
    writer.get_extra_info('socket').setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    writer.transport.abort()


async def only_close(reader, writer):
    await reader.read()
    writer.close()


async def sink(reader, writer):
    try:
        while await reader.read(1 << 20):
            pass
    except OSError:
        pass
    writer.close()


async def source(reader, writer):
    block = b'x' * (1 << 20)
    try:
        while True:
            writer.write(block)
            await writer.drain()
    except OSError:
        writer.close()


async def http(reader, writer):
    try:
        while line := await reader.readline():
            path = line.split()[1].decode()
            while (await reader.readline()).strip():
                pass
            if path == '/hello':
                body = b'hello from the server\n'
            elif path == '/received':
                body = json.dumps(received).encode()
            elif path == '/address':
                body = writer.get_extra_info('peername')[0].encode()
            elif path.startswith('/bytes/'):
                body = b'x' * int(path[7:])
            else:
                body = b'nothing here\n'
            writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n' % len(body) + body)
            await writer.drain()
    except (OSError, IndexError):
        pass
    writer.close()


def datagram_socket(port):
    sock = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    sock.bind(('::', port))
    return sock


async def main():
    loop = asyncio.get_running_loop()
    tcp = {53: dns_tcp, 7000: echo, 7001: half_close_first, 7002: exchange, 7003: never_read, 7004: reset, 7005: only_close,
           7006: sink, 7007: source, 8080: http}
    for port, serve in tcp.items():
        sock = socket.create_server(('::', port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=4096)
        if serve is never_read:  # little room, so that the sender notices soon
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
        await asyncio.start_server(serve, sock=sock, limit=1 << 20)
    def tell(data, source):
        return f"{source[0]} {source[1]}".replace("::ffff:", "").encode()

    udp = {53: lambda data, source: answer_dns(data, 512), 7000: lambda data, source: data, 7010: tell, 7011: tell}
    for port, reply in udp.items():
        sock = datagram_socket(port)
        await loop.create_datagram_endpoint(lambda sock=sock, reply=reply: Datagrams(sock, reply), sock=sock)
    print('ready', flush=True)
    await asyncio.Event().wait()


asyncio.run(main())
