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


def interval(values):
    """The mean, and the 95 % interval of it: resampled, from a seed."""
    dice = random.Random(1)
    means = sorted(statistics.fmean(dice.choices(values, k=len(values))) for _ in range(2000))
    return statistics.fmean(values), means[50], means[-51]


def sent_again(pairs, side):
    """Of what arrived; figures are Mbit/s, bytes that arrived, bytes sent again."""
    if any(len(pair[side]) < 3 for pair in pairs):
        return None
    return sum(pair[side][2] for pair in pairs) / max(sum(pair[side][1] for pair in pairs), 1)


def verdict(kind, text, met):
    print(f'{kind}: {text}: {"met" if met else "MISSED"}')


def table(path):
    cells = {}
    for line in open(path, encoding='ascii'):
        kind, name, *sides = line.strip().split(';')
        cells.setdefault((kind, name), []).append([[float(figure) for figure in side.split()] for side in sides])
    print('| congestion | path | slipgate Mbit/s | kernel Mbit/s | ratio | 95 % interval | sent again, of what arrived |\n'
          '|---|---|---|---|---|---|---|')
    verdicts = {}
    for (kind, name), pairs in cells.items():
        ours, theirs = (statistics.fmean(pair[side][0] for pair in pairs) for side in (0, 1))
        row = f'| {kind} | {name} | {ours:.1f} | {theirs:.1f} |'
        sums = verdicts.setdefault(kind, {'ratios': [], 'low': [], 'again': [], 'lines': []})
        if name.startswith('share'):
            share, low, high = interval([100 * pair[0][0] / max(pair[0][0] + pair[1][0], 0.01) for pair in pairs])
            print(f'{row} {share:.0f} % | {low:.0f} % to {high:.0f} % | |')
            sums['lines'].append((f'{name} {share:.0f} %, 35 to 65', 35 <= share <= 65))
            continue
        ratio, low, high = map(math.exp, interval([math.log(max(pair[0][0], 0.01) / max(pair[1][0], 0.01))
                                                   for pair in pairs]))
        again = [sent_again(pairs, side) for side in (0, 1)]
        print(f'{row} {ratio:.2f} | {low:.2f} to {high:.2f} |'
              + (' |' if None in again else f' {again[0]:.3%} / {again[1]:.3%} |'))
        if name.startswith('into'):
            # The same sender and network twice: 1.0 is what chance says half the time.
            sums['lines'].append((f'{name}: {ratio:.2f}, the interval not wholly below 1.0', high >= 1))
            continue
        sums['ratios'].append(math.log(ratio))
        if high < 0.9:
            sums['low'].append(f'{name} ({high:.2f})')
        # A packet or two in ten thousand is nobody's policy.
        if None not in again and again[0] > 1.3 * max(again[1], 0.0002):
            sums['again'].append(f'{name} ({again[0] / max(again[1], 1e-9):.1f} times)')
    print()
    for kind, sums in verdicts.items():
        if sums['ratios']:
            mean, least = math.exp(statistics.fmean(sums['ratios'])), 1.0 if kind == 'cubic' else 0.9
            verdict(kind, f'geometric mean of the ratios {mean:.2f}, at least {least}', mean >= least)
            verdict(kind, 'no interval wholly below 0.9' + ''.join(f'; {cell}' for cell in sums['low']), not sums['low'])
            verdict(kind, 'sent again at most 1.3 times the kernel\'s share' + ''.join(f'; {cell}' for cell in sums['again']),
                    not sums['again'])
        for text, met in sums['lines']:
            verdict(kind, text, met)


if __name__ == '__main__':
    if sys.argv[1] == 'serve':
        serve()
    elif sys.argv[1] == 'measure':
        measure(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    elif sys.argv[1] == 'send':
        send_up(sys.argv[2], sys.argv[3], float(sys.argv[4]))
    else:
        table(sys.argv[2])
