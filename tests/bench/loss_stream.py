#!/usr/bin/env python3
"""For loss.sh: a source that sends for as long as somebody reads, who reads and measures, and the table of the figures.

    loss_stream.py serve | measure HOST CONGESTION SECONDS | send HOST CONGESTION SECONDS | table FILE
"""
import math
import random
import socket
import statistics
import sys
import threading
import time

PORT = 7100


def send(connection):
    with connection:
        kind = b''
        while not kind.endswith(b'\n'):
            kind += connection.recv(1)
        kind = kind.strip()
        if kind == b'sink':
            sink(connection)
            return
        if kind != b'default':
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, kind)
        block = bytes(256 * 1024)
        try:
            while True:
                connection.sendall(block)
        except OSError:
            pass


def sink(connection):
    buffer = bytearray(1 << 20)
    total, start = 0, time.monotonic()
    while count := connection.recv_into(buffer):
        total += count
    connection.sendall(f'{total * 8 / (time.monotonic() - start) / 1e6:.2f}\n'.encode())


def serve():
    with socket.create_server(('', PORT)) as listener:
        while True:
            threading.Thread(target=send, args=(listener.accept()[0],), daemon=True).start()


def measure(host, kind, seconds):
    connection = socket.create_connection((host, PORT), timeout=30)
    connection.sendall(kind.encode() + b'\n')
    buffer = bytearray(1 << 20)
    total, start = 0, time.monotonic()
    connection.settimeout(seconds)
    while (passed := time.monotonic() - start) < seconds:
        try:
            total += connection.recv_into(buffer)
        except TimeoutError:
            break
    print(f'{total * 8 / max(passed, seconds) / 1e6:.2f} {total}')


def send_up(host, kind, seconds):
    connection = socket.create_connection((host, PORT), timeout=30)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, kind.encode())
    connection.sendall(b'sink\n')
    block, until = bytes(64 * 1024), time.monotonic() + seconds
    while time.monotonic() < until:
        connection.sendall(block)
    connection.shutdown(socket.SHUT_WR)
    connection.settimeout(60)
    print(connection.makefile().readline().strip())


def table(path):
    cells = {}
    for line in open(path, encoding='ascii'):
        kind, name, *sides = line.strip().split(';')
        cells.setdefault((kind, name), []).append([[float(figure) for figure in side.split()] for side in sides])
    print('| congestion | path | slipgate Mbit/s | kernel Mbit/s | ratio | 95 % interval | sent again, of what arrived |\n'
          '|---|---|---|---|---|---|---|')
    ratios = {}
    for (kind, name), pairs in cells.items():
        logs = [math.log(max(ours[0], 0.01) / max(theirs[0], 0.01)) for ours, theirs in pairs]
        # Mbit/s alone, or Mbit/s, bytes that arrived and bytes sent again
        again = ['']
        if all(len(side) == 3 for pair in pairs for side in pair):
            again = [f'{sum(p[side][2] for p in pairs) / max(sum(p[side][1] for p in pairs), 1):.2%}' for side in (0, 1)]
        if not name.startswith(('share', 'into')):
            ratios.setdefault(kind, []).append(statistics.fmean(logs))
        dice = random.Random(1)
        means = sorted(statistics.fmean(dice.choices(logs, k=len(logs))) for _ in range(2000))
        low, high = math.exp(means[50]), math.exp(means[-51])
        print(f'| {kind} | {name} | {statistics.fmean(p[0][0] for p in pairs):.1f} | {statistics.fmean(p[1][0] for p in pairs):.1f} '
              f'| {math.exp(statistics.fmean(logs)):.2f} | {low:.2f} to {high:.2f} | {" / ".join(again)} |')
    for kind, values in ratios.items():
        print(f'{kind}: geometric mean of the ratios {math.exp(statistics.fmean(values)):.2f}')


if __name__ == '__main__':
    if sys.argv[1] == 'serve':
        serve()
    elif sys.argv[1] == 'measure':
        measure(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    elif sys.argv[1] == 'send':
        send_up(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    else:
        table(sys.argv[2])
