#!/usr/bin/env python3
"""What two kernels do to each other over a TCP connection besides carrying bytes, one row each.

    tcp_states.py server            answers on PORT (both families); prints `ready`
    tcp_states.py client HOST       prints a line per row; exits 1 when one went wrong

Each connection begins with a line that names the row; the server does its half and may report by the last connection's
answer to "report".
"""
import errno
import hashlib
import select
import socket
import struct
import sys
import threading
import time

PORT = 7020
TCP_REPAIR = 19
PATIENCE = 8  # seconds
BLOCK = bytes(range(256)) * 256
reports = {}  # row -> what the server saw


def name_of(error):
    return errno.errorcode.get(error.errno, str(error)) if isinstance(error, OSError) and error.errno else str(error)


def read_line(sock):
    line = b''
    while not line.endswith(b'\n'):
        part = sock.recv(1)
        if not part:
            break
        line += part
    return line.decode().strip()


def read_to_end(sock):
    data = b''
    while part := sock.recv(65536):
        data += part
    return data


def vanish(sock):
    """The kernel forgets the connection without a word to the other side, as a machine that lost its power."""
    sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    sock.close()


# --- the server's halves ---

def urgent_up(sock):
    sock.sendall(read_to_end(sock))


def urgent_down(sock):
    sock.sendall(b'one')
    sock.send(b'!', socket.MSG_OOB)
    sock.sendall(b'two')
    sock.shutdown(socket.SHUT_WR)
    read_to_end(sock)


def zero_window(sock):
    digest = hashlib.sha256()
    for _ in range(60):
        sock.sendall(BLOCK)
        digest.update(BLOCK)
    sock.shutdown(socket.SHUT_WR)
    reports['zero-window'] = digest.hexdigest()
    read_to_end(sock)


def keepalive(sock):
    while data := sock.recv(100):
        sock.sendall(data)


def reset_by_client(sock):
    try:
        reports['reset-by-client'] = f'end after {len(read_to_end(sock))} bytes'
    except OSError as error:
        reports['reset-by-client'] = name_of(error)


def both_end_at_once(sock):
    at = float(read_line(sock))
    while time.time() < at:
        pass
    sock.shutdown(socket.SHUT_WR)
    reports['both-end-at-once'] = f'end after {len(read_to_end(sock))} bytes'


def client_forgets(sock):
    """What is sent to a client that has no such connection any more is answered with RST."""
    try:
        while True:
            sock.sendall(b'x')
            if select.select([sock], [], [], 0.2)[0] and not sock.recv(1):
                reports['client-forgets'] = 'end'
                return
    except OSError as error:
        reports['client-forgets'] = name_of(error)


def server_forgets(sock):
    sock.sendall(b'gone')
    vanish(sock)


def report(sock):
    row = read_line(sock)
    end = time.monotonic() + PATIENCE
    while row not in reports and time.monotonic() < end:
        time.sleep(0.02)
    sock.sendall(reports.pop(row, 'nothing').encode())


HALVES = {function.__name__.replace('_', '-'): function for function in (
    urgent_up, urgent_down, zero_window, keepalive, reset_by_client, both_end_at_once, client_forgets, server_forgets, report)}


def serve(sock):
    try:
        HALVES[read_line(sock)](sock)
    except OSError as error:
        print(error, flush=True)
    sock.close()


def server():
    with socket.create_server(('::', PORT), family=socket.AF_INET6, dualstack_ipv6=True) as listener:
        print('ready', flush=True)
        while True:
            sock, _ = listener.accept()
            threading.Thread(target=serve, args=(sock,), daemon=True).start()


# --- the client's ---

def client(host):
    def begin(row, receive_buffer=0):
        sock = socket.socket(socket.AF_INET6 if ':' in host else socket.AF_INET)
        sock.settimeout(PATIENCE)
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.connect((host, PORT))
        sock.sendall(f'{row}\n'.encode())
        return sock

    def reported(row):
        with begin('report') as sock:
            sock.sendall(f'{row}\n'.encode())
            return read_to_end(sock).decode()

    with begin('urgent-up') as sock:
        sock.sendall(b'one')
        sock.send(b'!', socket.MSG_OOB)
        sock.sendall(b'two')
        sock.shutdown(socket.SHUT_WR)
        yield 'urgent bytes of the client are bytes', read_to_end(sock), b'one!two'

    with begin('urgent-down') as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)
        yield 'urgent bytes of the server are bytes', read_to_end(sock), b'one!two'

    with begin('zero-window', 4096) as sock:
        select.select([], [], [], 1.5)  # nobody reads: the window closes and is probed
        begun = time.monotonic()
        digest, size = hashlib.sha256(), 0
        while part := sock.recv(65536):
            digest.update(part)
            size += len(part)
        seen = digest.hexdigest(), size, time.monotonic() - begun < PATIENCE
    yield 'a window that was closed opens again', seen, (reported('zero-window'), 60 * len(BLOCK), True)

    with begin('keepalive') as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in ((socket.TCP_KEEPIDLE, 1), (socket.TCP_KEEPINTVL, 1), (socket.TCP_KEEPCNT, 1)):
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
        silent = not select.select([sock], [], [], 2.3)[0]
        sock.sendall(b'still there')
        yield 'keepalive probes are answered', (silent, sock.recv(100)), (True, b'still there')

    sock = begin('reset-by-client')
    sock.sendall(b'x' * 1000)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
    sock.close()
    yield "the client's reset reaches the server", reported('reset-by-client'), 'ECONNRESET'

    for number in range(5):
        with begin('both-end-at-once') as sock:
            at = time.time() + 0.1
            sock.sendall(f'{at}\n'.encode() + b'x' * 1000)
            while time.time() < at:
                pass
            sock.shutdown(socket.SHUT_WR)
            yield f'both end at once, {number}: here', read_to_end(sock), b''
        yield f'both end at once, {number}: there', reported('both-end-at-once'), 'end after 1000 bytes'

    vanish(begin('client-forgets'))
    yield 'a client that lost its connection', reported('client-forgets') in ('ECONNRESET', 'EPIPE'), True

    with begin('server-forgets') as sock:
        sock.recv(4, socket.MSG_WAITALL)
        try:
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:
                sock.sendall(b'x')
                select.select([sock], [], [], 0.05)
            seen = 'silence'
        except OSError as error:
            seen = name_of(error)
        yield 'a server that lost its connection', seen in ('ECONNRESET', 'EPIPE'), True


def main():
    if sys.argv[1:] == ['server']:
        return server()
    wrong = 0
    for what, seen, wanted in client(sys.argv[2]):
        wrong += seen != wanted
        print(f'{what}: {seen}' if seen == wanted else f'WRONG {what}: {seen}; expected {wanted}', flush=True)
    sys.exit(1 if wrong else 0)


if __name__ == '__main__':
    main()
