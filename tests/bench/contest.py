#!/usr/bin/env python3
"""Measures one gateway from one client's namespace with tests/bench/load, and writes what it saw, medians and single
runs, as lines of JSON: contest.py --results FILE --gateway NAME --client NAME --netns NAME --pid PID ... WHAT...

WHAT: bulk trips connections udp dns memory idle. What fails is a result that says why; nothing stops for it.
"""
import argparse
import json
import pathlib
import select
import socket
import statistics
import subprocess
import sys
import time


def arguments():
    parser = argparse.ArgumentParser()
    for name in ('results', 'gateway', 'client', 'netns', 'pid', 'load', 'host'):
        parser.add_argument('--' + name, required=True)
    parser.add_argument('--dns', help='address of the name server that the gateway offers')
    parser.add_argument('--inside', help='the program that measures the AEAD: bulk is compared with it')
    parser.add_argument('--control', help="slipgate's control socket, for its counters")
    parser.add_argument('--repeat', type=int, default=3)
    parser.add_argument('--seconds', type=float, default=1.5, help='of each bulk transfer')
    parser.add_argument('--count', type=int, default=2000, help='round trips, connections')
    parser.add_argument('--flows', type=int, default=10000)
    parser.add_argument('what', nargs='+')
    return parser.parse_args()


class Contest:
    def __init__(self, options):
        self.options = options
        self.file = open(options.results, 'a', encoding='ascii', buffering=1)

    def record(self, what, **values):
        entry = {'gateway': self.options.gateway, 'client': self.options.client, 'what': what, **values}
        self.file.write(json.dumps(entry) + '\n')
        shown = {name: value for name, value in values.items() if name != 'runs'}
        print(f'{self.options.gateway} <- {self.options.client}: {what} {shown}', file=sys.stderr, flush=True)

    def load(self, *words):
        command = ['ip', 'netns', 'exec', self.options.netns, self.options.load, *map(str, words)]
        run = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        if run.returncode != 0:
            raise RuntimeError(run.stderr.strip() or f'exit {run.returncode}')
        return json.loads(run.stdout)

    def repeated(self, what, words, figures, warm_up=None):
        """Runs the load, and records the median of each of the figures, made from what one run printed."""
        try:
            if warm_up:
                self.load(*warm_up)
            runs = [figures(self.load(*words)) for _ in range(self.options.repeat)]
        except (RuntimeError, subprocess.TimeoutExpired) as error:
            self.record(what, failed=str(error).splitlines()[0])
            return
        medians = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
        self.record(what, **medians, runs=runs)

    # --- the measurements

    def counters(self):
        if not self.options.control:
            return None
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(5)
            sock.connect(self.options.control)
            sock.sendall(b'{"command": "status"}\n')
            answer = b''
            while not answer.endswith(b'\n'):
                answer += sock.recv(65536) or b'\n'
        status = json.loads(answer)
        return {**status['datagrams'], 'packets': status['packets']['from_link'], 'messages': status.get('messages')}

    def aead(self):
        """CPU seconds per GB to open, to seal, and by BoringSSL: each on both cores at once, as a transfer keeps both busy."""
        loops = [subprocess.Popen([self.options.inside, 'aead'], stdout=subprocess.PIPE, text=True) for _ in range(2)]
        lines = [json.loads(line) for loop in loops for line in loop.communicate()[0].splitlines()]
        return {(line['what'], figure): statistics.mean(each[figure] for each in lines if each['what'] == line['what'])
                for line in lines for figure in ('seal_per_gb', 'open_per_gb')}

    def one_bulk(self, direction, run):
        figures = {'cpu_per_gb': run['cpu'] / run['bytes'] * 1e9, 'mbit': run['bytes'] * 8e-6 / run['seconds']}
        if self.options.inside:
            aead, figure = self.aead(), 'open_per_gb' if direction == 'up' else 'seal_per_gb'
            figures['of_aead'] = figures['cpu_per_gb'] / aead['aead', figure]
            figures['of_boringssl'] = figures['cpu_per_gb'] / aead['aead boringssl', figure]
        return figures

    def bulk(self):
        pid, host = self.options.pid, self.options.host
        for streams in (1, 8):
            for direction in ('up', 'down'):
                before = self.counters()
                self.repeated(f'{direction} {streams}', (direction, host, streams, self.options.seconds, pid),
                              lambda run, direction=direction: self.one_bulk(direction, run),
                              warm_up=(direction, host, streams, self.options.seconds / 5, pid))
                if before:
                    self.record_batches(f'batches {direction} {streams}', before, self.counters())

    def record_batches(self, what, before, now):
        def change(name):
            return now[name] - before[name]
        messages = None if now['messages'] is None else change('messages') / max(change('packets'), 1) * 1e6
        self.record(what, received_per_call=change('received') / max(change('receive_calls'), 1),
                    sent_per_call=change('sent') / max(change('send_calls'), 1), messages=messages)

    def trips(self):
        self.repeated('trips', ('trips', self.options.host, self.options.count * 2, self.options.pid),
                      lambda run: {'p50': run['p50'], 'p99': run['p99'], 'cpu_each': run['cpu'] / run['count'] * 1e6})

    def connections(self):
        self.repeated('connections', ('connections', self.options.host, self.options.count, self.options.pid),
                      lambda run: {'each_second': run['count'] / run['seconds'], 'cpu_each': run['cpu'] / run['count'] * 1e6})

    def udp(self):
        for kind in ('same', 'single', 'varying'):
            # An echo passes the gateway twice.
            self.repeated(f'udp {kind}', ('udp', self.options.host, kind, self.options.seconds / 2, self.options.pid),
                          lambda run: {'cpu_each': run['cpu'] / run['count'] / 2 * 1e6,
                                       'each_second': run['count'] / run['seconds'], 'lost': run['lost']},
                          warm_up=('udp', self.options.host, kind, 0.1, self.options.pid))

    def dns(self):
        self.repeated('dns', ('dns', self.options.dns, 'web.test', self.options.seconds / 2, self.options.pid),
                      lambda run: {'cpu_each': run['cpu'] / run['count'] * 1e6, 'each_second': run['count'] / run['seconds'],
                                   'lost': run['lost']},
                      warm_up=('dns', self.options.dns, 'web.test', 0.1, self.options.pid))

    def resident(self):
        for line in pathlib.Path(f'/proc/{self.options.pid}/status').read_text(encoding='ascii').splitlines():
            if line.startswith('VmRSS:'):
                return int(line.split()[1]) * 1024 / 1e6
        raise RuntimeError('the gateway has ended')

    def cpu_seconds(self):
        return sum(int(task.read_text().split()[0])
                   for task in pathlib.Path(f'/proc/{self.options.pid}/task').glob('*/schedstat')) / 1e9

    def idle_share(self):
        """Of one core, while nothing happens."""
        cpu, start = self.cpu_seconds(), time.monotonic()
        select.select([], [], [], self.options.seconds * 2)  # what is measured is this pause
        return (self.cpu_seconds() - cpu) / (time.monotonic() - start)

    def idle(self):
        self.record('idle', idle_cpu=self.idle_share())

    def memory(self):
        """Megabytes resident before, with so many idle flows and after them; and what idleness costs."""
        before = self.resident()
        command = ['ip', 'netns', 'exec', self.options.netns, self.options.load, 'idle', self.options.host,
                   str(self.options.flows), '15']
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as flows:
            line = flows.stdout.readline().split()
            if not line:
                self.record('memory', failed=flows.stderr.read().strip())
                return
            during = self.resident()
            idle_cpu = self.idle_share()
            flows.communicate()
        end = time.monotonic() + min(10, self.options.seconds * 7)
        after = self.resident()
        while time.monotonic() < end and after > before + 1:
            select.select([], [], [], 0.2)
            after = min(after, self.resident())
        self.record('memory', flows=int(line[1]), before=before, during=during, after=after, idle_cpu=idle_cpu)


def main():
    options = arguments()
    contest = Contest(options)
    for what in options.what:
        getattr(contest, what)()


if __name__ == '__main__':
    main()
