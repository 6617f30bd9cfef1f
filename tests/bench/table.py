#!/usr/bin/env python3
"""Prints the table of a run of the bench and, behind it, one line for each bar: table.py [--smoke] RESULTS

RESULTS: lines of JSON by contest.py, inside, segments.sh and the programs that watch the wire. A smoke run's figures
are shown, but not judged. Exit 1: a measurement of slipgate failed, or something on the wire was not WireGuard.
"""
import datetime
import json
import pathlib
import platform
import sys

FAST, FOREIGN = 'slipgate tun', 'wireguard-go'


class Results:
    def __init__(self, path):
        self.entries = {}
        for line in pathlib.Path(path).read_text(encoding='utf-8').splitlines():
            entry = json.loads(line)
            key = (entry.get('gateway', ''), entry.get('client', ''), entry['what'])
            if 'number' in entry:
                key += (entry['number'],)
            self.entries[key] = entry

    def contests(self):
        """Gateways with their clients, in the order in which they were measured."""
        return list(dict.fromkeys(key[:2] for key in self.entries if key[0] and key[2] != 'note'))

    def notes(self):
        return [(key[0], entry['text']) for key, entry in self.entries.items() if key[2] == 'note']

    def get(self, figure, *key):
        """None when it was not measured, or failed."""
        return self.entries.get(key, {}).get(figure)

    def inside(self, figure, *what):
        return self.get(figure, '', '', *what)

    def failure(self, *key):
        return self.entries.get(key, {}).get('failed')


def show(value, form):
    return '–' if value is None else format(value, form)


def row(label, cells, width):
    print(f'  {label:36}' + ''.join(f'{cell:>{width}}' for cell in cells))


def contest_table(results, title, columns, width=17):
    """`columns`: heading, WHAT and how to show its entry."""
    rows = []
    for gateway, client in results.contests():
        cells = []
        for _, what, text in columns:
            entry = results.entries.get((gateway, client, what))
            cells.append('–' if entry is None else 'failed' if 'failed' in entry else text(entry))
        if any(cell != '–' for cell in cells):
            rows.append((f'{gateway} ← {client}', cells))
    if not rows:
        return
    print(f'\n{title}')
    row('', [heading for heading, _, _ in columns], width)
    for label, cells in rows:
        row(label, cells, width)
    for gateway, client in results.contests():
        for _, what, _ in columns:
            if reason := results.failure(gateway, client, what):
                print(f'    {gateway} ← {client}, {what}: {reason}')


def print_contests(results):
    def bulk(entry):
        return f'{entry["cpu_per_gb"]:.2f} ({entry["mbit"]:.0f})'
    contest_table(results, 'Bulk TCP: CPU seconds of the gateway per GB (Mbit/s), streams and direction',
                  [(f'{direction}, {streams}', f'{direction} {streams}', bulk) for streams in (1, 8) for direction in ('up', 'down')])

    def batches(entry):
        return f'{entry["received_per_call"]:.1f} / {entry["sent_per_call"]:.1f}'
    contest_table(results, 'Datagrams in each receive / send call of the gateway meanwhile',
                  [(f'{direction}, {streams}', f'batches {direction} {streams}', batches) for streams in (1, 8)
                   for direction in ('up', 'down')])

    def rate(entry):
        lost = f' -{entry["lost"]:.0f}' if entry.get('lost') else ''
        return f'{entry["cpu_each"]:.1f} ({entry["each_second"] / 1000:.1f}k/s){lost}'
    contest_table(results, 'CPU µs of the gateway each (rate; -lost). UDP: 1,200 bytes, by runs, single, of varying size',
                  [('round trip', 'trips', lambda entry: f'{entry["cpu_each"]:.1f}'),
                   ('p50/p99 µs', 'trips', lambda entry: f'{entry["p50"]:.0f}/{entry["p99"]:.0f}'),
                   ('connection', 'connections', rate), ('UDP runs', 'udp same', rate), ('single', 'udp single', rate),
                   ('varying', 'udp varying', rate), ('DNS query', 'dns', rate)])
    contest_table(results, 'Resident MB: before, with idle TCP flows, within 10 s of their end; CPU while they idle',
                  [('flows', 'memory', lambda entry: f'{entry["flows"]}'), ('before', 'memory', lambda entry: f'{entry["before"]:.1f}'),
                   ('with', 'memory', lambda entry: f'{entry["during"]:.1f}'), ('after', 'memory', lambda entry: f'{entry["after"]:.1f}'),
                   ('idle CPU', 'memory', lambda entry: f'{entry["idle_cpu"] * 100:.2f} %')], 10)
    for gateway, text in results.notes():
        print(f'  {gateway}: {text}')


def print_inside(results):
    aead = results.entries.get(('', '', 'aead'))
    if not aead:
        return
    print('\nWithin one process: CPU of the gateway\'s side, datagrams by memory')
    print(f'  AEAD alone, 1,420 bytes               seal {aead["seal_ns"]:.0f} ns, open {aead["open_ns"]:.0f} ns: '
          f'{aead["seal_per_gb"]:.2f} and {aead["open_per_gb"]:.2f} CPU s/GB '
          f'(BoringSSL {show(results.inside("seal_per_gb", "aead boringssl"), ".2f")} and {show(results.inside("open_per_gb", "aead boringssl"), ".2f")})')
    print(f'  single datagrams, 16 a turn           {show(results.inside("cpu_per_gb", "singles"), ".2f")} CPU s/GB, to a host socket')
    for what, of in (('cost flows', 'flows'), ('cost peers', 'peers')):
        for key, entry in results.entries.items():
            if key[2] == what:
                print(f'  packet with {entry["number"]:6} {of:18}{entry["scattered_ns"]:6.0f} ns, each another one\'s, one a turn; '
                      f'{entry["turns_ns"]:.0f} ns, 16 of another one each turn; {entry["busy_ns"]:.0f} ns, 16 of a busy one each turn: '
                      f'{entry["scattered"]:.2f}, {entry["turns"]:.2f}, {entry["busy"]:.2f} times what one costs meanwhile')
    print(f'  handshakes as responder, a second     {show(results.inside("good", "handshakes"), ",.0f")};'
          f' with a wrong MAC {show(results.inside("wrong_mac", "handshakes"), ",.0f")}')
    print(f'  two cores                             {show(results.inside("shards", "two cores"), ".2f")} × one shard,'
          f' {show(results.inside("aead", "two cores"), ".2f")} × one AEAD process')
    for key, entry in results.entries.items():
        if key[2] == 'instructions':
            print(f'  instructions, {entry["case"]:24}{entry["count"]:6}{"" if entry["stored"] is None else " (stored " + str(entry["stored"]) + ")"}')


def print_wire(results):
    found = [(key, entry) for key, entry in results.entries.items() if key[2] in ('tap', 'middle')]
    if found:
        print('\nWhat a third party sees on the wire, and what is in it for who has the keys')
        for key, entry in found:
            print(f'  {key[0]} ← {key[1]}: {entry.get("text") or entry.get("failed")}')


# --- bars

class Bars:
    def __init__(self, judged):
        self.judged = judged
        print('\nBars' + ('' if judged else ' (a smoke run: shown, not judged)'))

    def bar(self, name, text, figures):
        """`figures`: (value, how to show it, limit, whether it holds); a value that is None was not measured."""
        shown = ', '.join(show(value, form) for value, form, _ in figures)
        if any(value is None for value, _, _ in figures):
            verdict = 'not measured'
        elif all(holds(value) for value, _, holds in figures):
            verdict = 'ok'
        else:
            verdict = 'short'
        if not self.judged and verdict != 'not measured':
            verdict = '–'
        print(f'  {name:5} {text:74} {shown:>26}  {verdict}')


def at_most(limit):
    return lambda value: value <= limit


def at_least(limit):
    return lambda value: value >= limit


def ratio(a, b):
    return None if a is None or not b else a / b


def worst(values, of=max):
    values = list(values)
    return None if any(value is None for value in values) else of(values)


def print_bars(results, judged):
    bars = Bars(judged)
    up, down = ('up 1', 'up 8'), ('down 1', 'down 8')

    def ours(figure, client, what):
        return results.get(figure, 'slipgate', client, what)

    def cost(client, whats, gateway='slipgate'):
        return worst(results.get('cpu_per_gb', gateway, client, what) for what in whats)

    bars.bar('2.7', 'CPU s/GB, wireguard-go, one stream up, down: at most 6',
             [(cost(FOREIGN, (what,)), '.2f', at_most(6)) for what in ('up 1', 'down 1')])
    bars.bar('2.7', 'CPU s/GB, batching client, one stream up, down: at most 4',
             [(cost(FAST, (what,)), '.2f', at_most(4)) for what in ('up 1', 'down 1')])
    bars.bar('2.7', 'round trip, wireguard-go: median below 500 µs, at most 80 µs of CPU',
             [(ours('p50', FOREIGN, 'trips'), '.0f', at_most(500)), (ours('cpu_each', FOREIGN, 'trips'), '.1f', at_most(80))])
    bars.bar('2.7', 'short connection: at most 200 µs of CPU', [(ours('cpu_each', FOREIGN, 'connections'), '.1f', at_most(200))])

    bars.bar('3.1', 'CPU s/GB up, 1 and 8 streams: at most 1.35', [(cost(FAST, (what,)), '.2f', at_most(1.35)) for what in up])
    bars.bar('3.1', 'CPU s/GB down, 1 and 8 streams: at most 1.6', [(cost(FAST, (what,)), '.2f', at_most(1.6)) for what in down])
    for loop, figure in (("the AEAD loop's", 'of_aead'), ("a loop's by BoringSSL", 'of_boringssl')):
        for direction, whats, limit in (('up', up, 1.7), ('down', down, 2.0)):
            bars.bar('3.1', f'times {loop} CPU at that moment, {direction}: at most {limit}',
                     [(ours(figure, FAST, what), '.2f', at_most(limit)) for what in whats])
    bars.bar('3.1', 'Mbit/s up and down, 1 and 8 streams: at least 2,000',
             [(ours('mbit', FAST, what), '.0f', at_least(2000)) for what in up + down])
    bars.bar('3.1', 'CPU s/GB, single datagrams, 16 a turn, by memory: at most 3.0',
             [(results.inside('cpu_per_gb', 'singles'), '.2f', at_most(3))])

    seen = [results.entries.get(('slipgate', client, what)) for client in (FAST, FOREIGN) for what in ('tap', 'middle')]
    wrong = worst(None if entry is None else len(entry['wrong']) if 'wrong' in entry else 1 for entry in seen)
    bars.bar('3.2', 'what is not WireGuard on the wire, of datagrams seen and opened: 0',
             [(wrong, 'd', at_most(0))] + [(None if entry is None else entry.get('seen'), 'd', at_least(1)) for entry in seen])
    kernel = [results.get('cpu_per_gb', 'kernel', FAST, what) for what in up + down]
    bars.bar('3.2', "of the kernel gateway's CPU s/GB, same client, worst: at most a third",
             [(worst(ratio(ours('cpu_per_gb', FAST, what), theirs) for what, theirs in zip(up + down, kernel)), '.2f', at_most(1 / 3))])
    bars.bar('3.2', "of the kernel gateway's Mbit/s, same client, worst: at least 1.5",
             [(worst((ratio(ours('mbit', FAST, what), results.get('mbit', 'kernel', FAST, what)) for what in up + down), min),
               '.2f', at_least(1.5))])
    bars.bar('3.2', 'CPU s/GB, mean of up and down (a third of the 4.2 with GSO): at most 1.4',
             [(None if cost(FAST, up + down) is None else sum(cost(FAST, (what,)) for what in up + down) / 4, '.2f', at_most(1.4))])

    bars.bar('3.3', 'round trip: at most 40 µs of CPU', [(ours('cpu_each', client, 'trips'), '.1f', at_most(40)) for client in (FAST, FOREIGN)])
    bars.bar('3.3', "of the kernel gateway's median round trip, same client: at most 1",
             [(ratio(ours('p50', client, 'trips'), results.get('p50', 'kernel', client, 'trips')), '.2f', at_most(1))
              for client in (FAST, FOREIGN)])
    bars.bar('3.3', 'short connection: at most 90 µs of CPU',
             [(ours('cpu_each', client, 'connections'), '.1f', at_most(90)) for client in (FAST, FOREIGN)])
    bars.bar('3.4', 'UDP datagram: at most 3 µs when sizes repeat', [(ours('cpu_each', FAST, 'udp same'), '.2f', at_most(3))])
    bars.bar('3.4', 'UDP datagram: at most 6 µs when sizes vary', [(ours('cpu_each', FAST, 'udp varying'), '.2f', at_most(6))])
    bars.bar('3.4', 'DNS from the cache: at most 12 µs a query', [(ours('cpu_each', FAST, 'dns'), '.1f', at_most(12))])

    memory = results.entries.get(('slipgate', FOREIGN, 'memory'), {})
    grown = memory['during'] - memory['before'] if memory.get('flows', 0) > 0 else None
    bars.bar('3.5', f'MB more with {memory.get("flows", "no")} idle flows: at most 20', [(grown, '.1f', at_most(20))])
    bars.bar('3.5', 'idle CPU with them and with 10,000 peers: below 0.5 %',
             [(value if value is None else value * 100, '.2f', at_most(0.5))
              for value in (memory.get('idle_cpu'), results.get('idle_cpu', 'slipgate', '10,000 peers', 'idle'))])
    for number, of, limit in ((10000, 'flows', 1.3), (100000, 'flows', 2), (10000, 'peers', 1.3)):
        bars.bar('3.5', f'packet with {number:,} {of} (each another, turns, one busy), of one: at most {limit}',
                 [(results.inside(figure, f'cost {of}', number), '.2f', at_most(limit)) for figure in ('scattered', 'turns', 'busy')])
    bars.bar('3.6', 'two shards of what two AEAD processes scale to: at least 0.9',
             [(results.inside('ratio', 'two cores'), '.2f', at_least(0.9))])
    bars.bar('3.6', 'cross-shard messages per million packets of a bulk flow: 0',
             [(worst(ours('messages', FAST, f'batches {what}') for what in up + down), '.2f', at_most(0))])
    bars.bar('3.7', 'handshakes a second: at least 4,000', [(results.inside('good', 'handshakes'), ',.0f', at_least(4000))])
    bars.bar('3.7', 'initiations with a wrong MAC a second: at least 500,000',
             [(results.inside('wrong_mac', 'handshakes'), ',.0f', at_least(500000))])


def main():
    judged = '--smoke' not in sys.argv[1:]
    results = Results(sys.argv[-1])
    model = next((line.split(':')[1].strip() for line in pathlib.Path('/proc/cpuinfo').read_text(encoding='utf-8').splitlines()
                  if line.startswith('model name')), platform.machine())
    load = pathlib.Path('/proc/loadavg').read_text(encoding='ascii').split()[0]
    print(f'{datetime.date.today()}, {model}, kernel {platform.release()}; load average at the end {load}')
    print_contests(results)
    print_inside(results)
    print_wire(results)
    print_bars(results, judged)
    if any(key[0] == 'slipgate' and ('failed' in entry or entry.get('wrong')) for key, entry in results.entries.items()):
        sys.exit('table: slipgate failed in a measurement, see above')


if __name__ == '__main__':
    main()
