#!/usr/bin/env python3
"""What a gateway costs while its clients do something; run in a client's namespace: measure.py PID WHAT ARGUMENT...

    stream LABEL DIRECTION HOST BYTES    CPU seconds of PID per GB, one iperf3 stream; DIRECTION up or down
    batching PROGRAM DIRECTION BYTES...  the same with tests/bench/batching_client, its options behind BYTES
    round-trip HOST COUNT                median of 64-byte echoes, and CPU per round trip
    connections HOST COUNT               CPU per short connection (connect, 64 bytes there and back, close), one at a time
"""
import glob
import json
import pathlib
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / 'support'))
import peer  # noqa: E402


def cpu_seconds(pid):
    """Of all threads, from the scheduler's account: /proc/PID/stat counts in steps of 10 ms only."""
    total = 0
    for path in glob.glob(f'/proc/{pid}/task/*/schedstat'):
        total += int(pathlib.Path(path).read_text().split()[0])
    return total / 1e9


def stream(pid, label, direction, host, size):
    before = cpu_seconds(pid)
    command = ['iperf3', '-J', '-c', host, '-n', size, '--connect-timeout', '5000'] + (['-R'] if direction == 'down' else [])
    run = subprocess.run(command, stdout=subprocess.PIPE, timeout=300, check=False)
    report = json.loads(run.stdout)
    if 'error' in report:
        sys.exit(f'iperf3: {report["error"]}')
    received = report['end']['sum_received']
    cost = (cpu_seconds(pid) - before) / (received['bytes'] / 1e9)
    print(f'{label}, 1 stream {direction:4}  {cost:6.2f} CPU s/GB   {received["bits_per_second"] / 1e6:6.0f} Mbit/s')


def batching(pid, program, direction, size, *options):
    before = cpu_seconds(pid)
    run = subprocess.run([program, '--mode', direction, '--count', size, *options], stdout=subprocess.PIPE, text=True, timeout=300,
                         check=True)
    _, amount, _, _, took = run.stdout.split()
    cost = (cpu_seconds(pid) - before) / (int(amount) / 1e9)
    print(f'batching,     1 stream {direction:4}  {cost:6.2f} CPU s/GB   {int(amount) * 8e-6 / float(took):6.0f} Mbit/s')


def round_trip(pid, host, count):
    with peer.connect(host, 7000) as sock:
        peer.round_trips(sock, 50)
        before = cpu_seconds(pid)
        times = sorted(peer.round_trips(sock, int(count)))
        used = cpu_seconds(pid) - before
    print(f'round trip of 64 bytes      {statistics.median(times) * 1e3:6.3f} ms median, '
          f'{times[int(len(times) * 0.99)] * 1e3:.3f} ms p99; gateway {used / int(count) * 1e6:.0f} us CPU each')


def connections(pid, host, count):
    def one():
        with peer.connect(host, 7000) as sock:
            peer.round_trips(sock, 1)
    for _ in range(20):
        one()
    before, begin = cpu_seconds(pid), time.perf_counter()
    for _ in range(int(count)):
        one()
    used, took = cpu_seconds(pid) - before, time.perf_counter() - begin
    print(f'short connection            {used / int(count) * 1e6:6.0f} us CPU each, {int(count) / took:.0f} a second')


if __name__ == '__main__':
    {'stream': stream, 'batching': batching, 'round-trip': round_trip, 'connections': connections}[sys.argv[2]](sys.argv[1], *sys.argv[3:])
