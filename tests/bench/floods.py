"""Floods a gateway and judges what came of it, for floods.sh: prints a table and one line for each bound that is broken.

Each flood runs against a sink beside the gateway first, then against the gateway; both times a steady client's round
trips go through the gateway. What the gateway spends meanwhile beyond what it spends on the steady client alone, divided
by the packets, is what a hostile packet costs it.
"""
import argparse
import json
import os
import socket
import statistics
import subprocess
import sys
import time

MOST_MEMORY = 200_000  # kB, whatever comes
MOST_RATIO = 1.5       # of the steady client's median round trip, to what it is when the sink gets the flood
IDLE_AFTER = 10        # seconds
MARGIN = 16_000        # kB that may stay in the heap

# kind: packets, packets a second
FLOODS = {
    'syns': (100_000, 50_000),          # to a black hole, each another connection
    'segments': (100_000, 50_000),      # of no connection
    'garbage': (1_000_000, 200_000),
    'initiations': (10_000, 5_000),     # with bad MACs
    'handshakes': (10_000, 5_000),      # with good ones, of nobody that is known
    'dns': (100_000, 40_000),           # questions that nobody answers
    'fragments': (100_000, 40_000),     # of datagrams that never become whole
    'mappings': (100_000, 20_000),      # each from another port
    'bulk': (400_000, 100_000),         # one flow, as much as comes
}


class Gateway:
    def __init__(self, pid, control):
        self.pid, self.control = pid, control

    def status(self):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(10)
            sock.connect(self.control)
            sock.sendall(b'{"command": "status"}\n')
            answer = b''
            while not answer.endswith(b'\n'):
                answer += sock.recv(65536) or b'\n'
        return json.loads(answer)

    def memory(self, what):
        with open(f'/proc/{self.pid}/status') as status:
            return next(int(line.split()[1]) for line in status if line.startswith(what + ':'))

    def forget_peak(self):
        with open(f'/proc/{self.pid}/clear_refs', 'w') as refs:
            refs.write('5')

    def cpu(self):  # seconds
        tasks = os.listdir(f'/proc/{self.pid}/task')
        return sum(int(open(f'/proc/{self.pid}/task/{task}/schedstat').read().split()[0]) for task in tasks) / 1e9


def drops_between(before, after):
    more = {name: count - before.get(name, 0) for name, count in after.items() if count > before.get(name, 0)}
    return ', '.join(f'{count} {name}' for name, count in sorted(more.items(), key=lambda item: -item[1])[:3])


def back_to_idle(gateway, memory, flows):
    """None when it is, in time; else what is not."""
    until = time.monotonic() + IDLE_AFTER
    while True:
        now, open_flows = gateway.memory('VmRSS'), gateway.status()['flows']
        if now <= memory + MARGIN and open_flows <= flows:
            return None
        if time.monotonic() > until:
            return f'{now} kB and {open_flows} flows, not {memory} kB and {flows}'
        time.sleep(0.1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument('--pid', type=int, required=True)
    parser.add_argument('--control', required=True)
    parser.add_argument('--sink', required=True)
    parser.add_argument('--target', required=True)
    parser.add_argument('--smoke', action='store_true')
    parser.add_argument('--kinds', nargs='*', choices=list(FLOODS), default=[])
    parser.add_argument('--flood', nargs=argparse.REMAINDER, required=True, help='the command, TARGET in its words')
    options = parser.parse_args()
    gateway = Gateway(options.pid, options.control)
    broken = []

    def run(target, kind, count, rate):
        command = [target if word == 'TARGET' else word for word in options.flood] + [kind, str(count), str(rate)]
        cpu = gateway.cpu()
        done = subprocess.run(command, stdout=subprocess.PIPE, timeout=120, check=True)
        return {**json.loads(done.stdout), 'cpu': gateway.cpu() - cpu}

    run(options.target, 'none', 0, 1)
    print(f'{"flood":12} {"packets":>8} {"a second":>8} {"ns each":>8} {"sink us":>8} {"us":>8} {"ratio":>6} {"answered":>9} '
          f'{"peak MB":>8} {"MB after":>8}  dropped')
    for kind in options.kinds or FLOODS:
        count, rate = FLOODS[kind]
        if options.smoke:
            count, rate = count // 10, rate // 2
        rows = []
        for _ in range(1 if options.smoke else 3):
            memory, before = gateway.memory('VmRSS'), gateway.status()
            sink = run(options.sink, kind, count, rate)
            gateway.forget_peak()
            flooded = run(options.target, kind, count, rate)
            after = gateway.status()
            left = back_to_idle(gateway, memory, before['flows'] + 1)  # the steady client's own
            if left:
                broken.append(f'{kind}: {IDLE_AFTER} s later {left}')
            rows.append({'ns': (flooded['cpu'] - sink['cpu'] / sink['seconds'] * flooded['seconds']) / count * 1e9,
                         'rate': count / flooded['seconds'], 'sink': sink['median_us'], 'us': flooded['median_us'],
                         'ratio': flooded['median_us'] / sink['median_us'],
                         'answered': flooded['answered'] / flooded['asked'],
                         'peak': gateway.memory('VmHWM') / 1000, 'after': gateway.memory('VmRSS') / 1000})
        row = {name: statistics.median(each[name] for each in rows) for name in rows[0]}
        peak = max(each['peak'] for each in rows)
        print(f'{kind:12} {count:8} {row["rate"]:8.0f} {row["ns"]:8.0f} {row["sink"]:8.1f} {row["us"]:8.1f} {row["ratio"]:6.2f} '
              f'{row["answered"]:9.1%} {peak:8.1f} {row["after"]:8.1f}  {drops_between(before["drops"], after["drops"])}',
              flush=True)
        if peak > MOST_MEMORY / 1000:
            broken.append(f'{kind}: {peak:.1f} MB')
        if row['ratio'] > MOST_RATIO and not options.smoke:
            broken.append(f'{kind}: the steady client waits {row["ratio"]:.2f} times as long')
        if row['answered'] < 0.5:
            broken.append(f'{kind}: the steady client gets {row["answered"]:.1%} of its answers')
    for each in broken:
        print(f'BROKEN {each}')
    sys.exit(1 if broken else 0)


main()
