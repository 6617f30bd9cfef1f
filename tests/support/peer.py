#!/usr/bin/env python3
"""What the client's side of the end-to-end tests does with sockets: peer.py BEHAVIOUR ARGUMENT...
Prints one line and exits 0 when the behaviour was seen; says what was seen instead and exits 1 otherwise.
"""
import asyncio
import errno
import hashlib
import json
import os
import select
import socket
import statistics
import struct
import sys
import threading
import time
import urllib.request

sys.path.insert(0, __file__.rsplit('/', 1)[0])
from pattern import digest, pattern  # noqa: E402

PATIENCE = 20  # seconds; what takes longer has failed


class Unseen(Exception):
    pass


def check(condition, text):
    if not condition:
        raise Unseen(text)


PROXY_V2 = b'\r\n\r\n\0\r\nQUIT\n'


def family_of(host):
    return socket.AF_INET6 if ':' in host else socket.AF_INET


def connect(host, port, source_port=0, timeout=PATIENCE):
    sock = socket.socket(family_of(host), socket.SOCK_STREAM)
    sock.settimeout(timeout)
    if source_port:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(('', source_port))
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    end = time.monotonic() + 2
    while True:
        try:
            sock.connect((host, int(port)))
            return sock
        except OSError as error:  # the last connection of this source port still waits for its last ACK
            if not (source_port and error.errno == errno.EADDRNOTAVAIL and time.monotonic() < end):
                raise
        select.select([], [], [], 0.002)


def read_to_end(sock):
    data = bytearray()
    while part := sock.recv(65536):
        data += part
    return bytes(data)


def read_exactly(sock, size):
    data = bytearray()
    while len(data) < size:
        part = sock.recv(size - len(data))
        check(part, f'end of stream after {len(data)} of {size} bytes')
        data += part
    return bytes(data)


def round_trips(sock, count, payload=b'x' * 64):
    """Seconds of each of `count` echoes on a connection to an echo server."""
    times = []
    for _ in range(count):
        begin = time.perf_counter()
        sock.sendall(payload)
        read_exactly(sock, len(payload))
        times.append(time.perf_counter() - begin)
    return times


def url(host, path):
    return f'http://[{host}]:8080{path}' if ':' in host else f'http://{host}:8080{path}'


def received_by_server(host, port, size, sha256):
    """Waits until the server says that a connection to `port` ended, and compares what came."""
    end = time.monotonic() + PATIENCE
    seen = []
    while time.monotonic() < end:
        with urllib.request.urlopen(url(host, '/received'), timeout=PATIENCE) as answer:
            seen = [entry for entry in json.load(answer) if entry['port'] == port]
        if seen:
            break
        select.select([], [], [], 0.05)
    check(seen, f'the connection to port {port} never ended at the server')
    check(seen[-1]['bytes'] == size, f'{seen[-1]["bytes"]} bytes arrived of {size}')
    check(seen[-1]['sha256'] == sha256, 'other bytes arrived than were sent')


def connect_error(host, port, name, milliseconds='20000'):
    """connect() fails with the error `name`, in time."""
    begin = time.perf_counter()
    try:
        connect(host, port)
        seen = 'success'
    except socket.timeout:
        seen = 'silence'
    except OSError as error:
        seen = errno.errorcode.get(error.errno, str(error))
    took = (time.perf_counter() - begin) * 1000
    check(seen == name, f'{seen} instead of {name}')
    check(took < float(milliseconds), f'{name} took {took:.1f} ms')
    return f'{name} after {took:.1f} ms'


def refused_on_wire(device, host, port):
    """A SYN is answered with a RST, seen on the device: for addresses from which this kernel takes no answers."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800)) as wire, socket.socket() as sock:
        wire.bind((device, 0x0800))
        wire.settimeout(PATIENCE / 4)
        sock.setblocking(False)
        sock.connect_ex((host, int(port)))
        end = time.monotonic() + PATIENCE / 4
        while time.monotonic() < end:
            packet = wire.recv(2000)
            header = 4 * (packet[0] & 15)
            if packet[9] == socket.IPPROTO_TCP and packet[12:16] == socket.inet_aton(host):
                check(packet[header + 13] & 4, f'TCP flags {packet[header + 13]:#x} instead of RST')
                return 'RST'
    raise Unseen('silence')


def black_hole(hole, host, count='20'):
    """Connections to a black hole stay pending, and meanwhile another flow is as quick as it was."""
    with connect(host, 7000) as other:
        before = statistics.median(round_trips(other, 200))
        pending = []
        for _ in range(int(count)):
            sock = socket.socket(family_of(hole), socket.SOCK_STREAM)
            sock.setblocking(False)
            check(sock.connect_ex((hole, 80)) == errno.EINPROGRESS, 'connect() did not start')
            pending.append(sock)
        times = []
        begin = time.monotonic()
        while time.monotonic() - begin < 4:  # two retransmissions of each SYN
            times += round_trips(other, 20)
        during = statistics.median(times)
        _, answered, _ = select.select([], pending, [], 0)
        check(not answered, f'{len(answered)} of {count} connections to the black hole were answered')
        check(during < max(3 * before, 0.003), f'round trip {before * 1e3:.2f} ms before, {during * 1e3:.2f} ms during')
        check(max(times) < 1, f'one round trip took {max(times):.2f} s')
    return f'{count} pending; round trip {before * 1e3:.2f} ms before, {during * 1e3:.2f} ms during'


def half_close_first(host):
    """The server ends its direction first; then 1,000,000 bytes are uploaded."""
    data = pattern('up', 0, 1_000_000)
    with connect(host, 7001) as sock:
        check(read_to_end(sock) == b'hello', 'not the greeting')
        sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
        received_by_server(host, 7001, len(data), hashlib.sha256(data).hexdigest())
    return 'all 1,000,000 bytes arrived'


def exchange(host):
    """20 MB down while 10 MB go up, ended by half-closes."""
    with connect(host, 7002) as sock:
        def upload():
            for start in range(0, 10_000_000, 1_000_000):
                sock.sendall(pattern('up', start, 1_000_000))
            sock.shutdown(socket.SHUT_WR)
        thread = threading.Thread(target=upload)
        thread.start()
        down = hashlib.sha256()
        size = 0
        while part := sock.recv(1 << 18):
            size += len(part)
            down.update(part)
        thread.join()
    check(size == 20_000_000, f'{size} bytes came down')
    check(down.hexdigest() == digest('down', 20_000_000), 'other bytes came than were sent')
    received_by_server(host, 7002, 10_000_000, digest('up', 10_000_000))
    return '20,000,000 down and 10,000,000 up, unchanged'


def stalled(host, most='48000000'):
    """A server that stops reading stops the sender; another flow does not notice."""
    with connect(host, 7000) as other, connect(host, 7003) as sock:
        # The best of some: others use this machine, too.
        before = min(statistics.median(round_trips(other, 100)) for _ in range(5))
        sock.setblocking(False)
        sent, block = 0, b'x' * 65536
        while select.select([], [sock], [], 2)[1]:
            try:
                sent += sock.send(block)
            except BlockingIOError:
                pass
            check(sent < int(most), f'{sent} bytes were taken, and no end')
        after = min(statistics.median(round_trips(other, 100)) for _ in range(5))
        check(after < max(3 * before, 0.003), f'round trip {before * 1e3:.2f} ms before, {after * 1e3:.2f} ms with a stalled flow')
    return f'stopped after {sent} bytes'


def reset(host):
    """The server's RST comes through as ECONNRESET."""
    with connect(host, 7004) as sock:
        sock.sendall(b'x')
        try:
            data = sock.recv(1)
            raise Unseen(f'end of stream instead of a reset: {data}')
        except ConnectionResetError:
            return 'ECONNRESET'


def reuse(host):
    """The same source port at once again: after the server's close, after the client's, and after a reset."""
    for _ in range(3):  # the server closes first, so that this side is free at once
        with connect(host, 7001, 41000) as sock:
            check(read_to_end(sock) == b'hello', 'not the greeting')
    for _ in range(3):
        sock = connect(host, 7000, 41001)
        round_trips(sock, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        sock.close()
    return 'six connections from two source ports'


def udp_echo(host, *sizes):
    """Datagrams of these sizes come back whole."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        sock.connect((host, 7000))
        for size in map(int, sizes):
            data = pattern('udp', 0, 1_000_000)[:size]
            for attempt in range(3):  # UDP may lose one
                sock.send(data)
                try:
                    answer = sock.recv(65536)
                    break
                except socket.timeout:
                    answer = None
            check(answer is not None, f'{size} bytes: nothing came back')
            check(answer == data, f'{size} bytes: {len(answer)} came back' + (', changed' if len(answer) == size else ''))
    return f'{len(sizes)} sizes came back whole'


def udp_ask(host, port, text='?'):
    """Prints the answer to one datagram."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE / 4)
        sock.connect((host, int(port)))
        for _ in range(3):
            sock.send(text.encode())
            try:
                return sock.recv(65536).decode()
            except socket.timeout:
                pass
    raise Unseen('no answer')


def udp_refused(host, port, name='ECONNREFUSED'):
    """A datagram to a closed port brings a port unreachable."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as sock:
        sock.settimeout(1)
        sock.connect((host, int(port)))
        for _ in range(3):
            try:
                sock.send(b'x')
                sock.recv(1)
            except socket.timeout:
                continue
            except OSError as error:
                seen = errno.errorcode.get(error.errno)
                check(seen == name, f'{seen} instead of {name}')
                return seen
    raise Unseen('silence')


def udp_mapping(host):
    """One client socket has one outside address, whomever it talks to (RFC 4787 REQ-1)."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE / 4)
        seen = []
        for port in (7010, 7011):
            sock.sendto(b'?', (host, port))
            answer, source = sock.recvfrom(100)
            check(source[1] == port, f'the answer came from port {source[1]}')
            seen.append(answer.decode())
    check(seen[0] == seen[1], f'two mappings: {seen}')
    return seen[0]


def many(host, count, parallel='20'):
    """Short connections, some at a time: connect, 64 bytes there and back, close."""
    async def one():
        reader, writer = await asyncio.wait_for(asyncio.open_connection(host, 7000), PATIENCE)
        writer.write(b'y' * 64)
        data = await asyncio.wait_for(reader.readexactly(64), PATIENCE)
        check(data == b'y' * 64, 'other bytes came back')
        writer.close()

    async def worker(share):
        for _ in range(share):
            await one()

    async def run():
        await asyncio.gather(*(worker(int(count) // int(parallel)) for _ in range(int(parallel))))
    begin = time.perf_counter()
    asyncio.run(run())
    return f'{count} connections, {int(count) / (time.perf_counter() - begin):.0f} a second'


def session(host, keys='300'):
    """An interactive session: single keys with pauses of a typist, each echoed, then a burst of output."""
    with connect(host, 7000) as sock:
        slowest = 0
        for number in range(int(keys)):
            slowest = max(slowest, *round_trips(sock, 1, b'%d' % (number % 10)))
            select.select([sock], [], [], 0.01)
        data = pattern('session', 0, 1_000_000)
        thread = threading.Thread(target=sock.sendall, args=(data,))
        thread.start()
        check(read_exactly(sock, len(data)) == data, 'the burst was changed')
        thread.join()
    check(slowest < 1, f'one key took {slowest:.2f} s')
    return f'{keys} keys, the slowest {slowest * 1e3:.1f} ms'


def keep(host, port='7000'):
    """One connection that answers each line of standard input with `alive`, until its end: for tests that change the world."""
    with connect(host, port) as sock:
        print('open', flush=True)
        for _ in sys.stdin:
            round_trips(sock, 1)
            print('alive', flush=True)
    return 'closed'


def idle(host, count):
    """Opens `count` connections, says so, and closes them at the end of standard input."""
    socks = []
    for number in range(int(count)):
        socks.append(connect(host, 7000))
    poller = select.poll()
    for sock in socks:
        poller.register(sock, select.POLLIN)
    print(f'open {len(socks)}', flush=True)
    sys.stdin.readline()
    check(not poller.poll(0), 'some connections were closed meanwhile')
    for sock in socks[:: max(1, len(socks) // 100)]:
        round_trips(sock, 1)
    for sock in socks:
        sock.close()
    return 'closed'


def accept_one(host, port, text='hello'):
    """Listens, prints `listening`, then sends the first client its own address and `text`."""
    with socket.create_server((host, int(port)), family=family_of(host)) as server:
        print('listening', flush=True)
        server.settimeout(PATIENCE)
        sock, source = server.accept()
        with sock:
            sock.sendall(f'{text} {source[0]}\n'.encode())
    return f'served {source[0]}'


def answer_udp(host, port, text='hello'):
    """Prints `listening`, then answers datagrams with `text` and the asker's address until it is ended."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as sock:
        sock.bind((host, int(port)))
        print('listening', flush=True)
        while True:
            _, source = sock.recvfrom(65536)
            sock.sendto(f'{text} {source[0]}'.encode(), source)


def ask(host, port):
    """Prints what the server says on a new connection."""
    with connect(host, port) as sock:
        return read_to_end(sock).decode().strip()


def ask_proxied(host, port, client, version='1'):
    """The same as a proxy that speaks for `client` (PROXY protocol), for itself when that is `local`."""
    with connect(host, port) as sock:
        if version == '1':
            header = f'PROXY TCP4 {client} {host} 4444 {port}\r\n'.encode()
        elif client == 'local':
            header = PROXY_V2 + b'\x20\0\0\0'
        else:
            addresses = b''.join(socket.inet_pton(socket.AF_INET, each) for each in (client, host)) + struct.pack('!HH', 4444, int(port))
            more = b'\x02\0\x08web.test'
            header = PROXY_V2 + b'\x21\x11' + struct.pack('!H', len(addresses + more)) + addresses + more
        for byte in header:  # as they may come
            sock.sendall(bytes([byte]))
        return read_to_end(sock).decode().strip()


def accept_proxied(host, port):
    """Listens, prints `listening`, then says of each connection what its PROXY header says, and sends back what follows it."""
    with socket.create_server((host, int(port)), family=family_of(host)) as server:
        print('listening', flush=True)
        while True:
            sock, _ = server.accept()
            with sock:
                sock.settimeout(PATIENCE)
                start = read_exactly(sock, 16)
                if start.startswith(PROXY_V2):
                    kind, size = struct.unpack('!xBH', start[12:])
                    rest = read_exactly(sock, size)
                    family, length = (socket.AF_INET, 4) if kind == 0x11 else (socket.AF_INET6, 16)
                    ports = struct.unpack('!HH', rest[2 * length:])
                    words = [socket.inet_ntop(family, rest[:length]), socket.inet_ntop(family, rest[length:2 * length]), *ports]
                    print('version 2', kind, *words, flush=True)
                else:
                    while not start.endswith(b'\r\n'):
                        start += read_exactly(sock, 1)
                    print('version 1', start[:-2].decode(), flush=True)
                sock.sendall(read_to_end(sock))


def udp_ask_proxied(host, port, client):
    """Prints the answer to one datagram of `client` behind Cloudflare's header, which must come back with it."""
    mapped = [socket.inet_pton(socket.AF_INET6, f'::ffff:{address}') for address in (client, host)]
    header = struct.pack('>H16s16sHH', 0x56ec, *mapped, 4444, int(port))
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect((host, int(port)))
        sock.send(header + b'?')
        answer = sock.recv(65536)
    check(answer[:len(header)] == header, 'the header did not come back')
    return answer[len(header):].decode()


def garbage(host, port, count='2000'):
    """Datagrams of every kind of nonsense, some of them shaped like WireGuard messages."""
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as sock:
        for number in range(int(count)):
            kind = number % 6
            data = os.urandom((0, 1, 31, 148, 92, 1500)[kind])
            if kind >= 3:
                data = struct.pack('<I', kind - 2 if kind < 5 else 4) + data[4:]
            sock.sendto(data, (host, int(port)))
    return f'{count} datagrams'


def main():
    behaviours = {function.__name__.replace('_', '-'): function for function in (
        connect_error, refused_on_wire, black_hole, half_close_first, exchange, stalled, reset, reuse, udp_echo, udp_ask, udp_refused,
        udp_mapping, many, session, keep, idle, accept_one, answer_udp, ask,
        ask_proxied, accept_proxied, udp_ask_proxied, garbage)}
    if len(sys.argv) < 2 or sys.argv[1] not in behaviours:
        sys.exit('peer.py: one of ' + ' '.join(behaviours))
    try:
        print(behaviours[sys.argv[1]](*sys.argv[2:]), flush=True)
    except (Unseen, OSError, asyncio.TimeoutError) as error:
        sys.exit(f'{sys.argv[1]}: {type(error).__name__}: {error}')


if __name__ == '__main__':
    main()
