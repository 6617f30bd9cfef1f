#!/usr/bin/env python3
"""Reads Prometheus' text format (version 0.0.4) strictly, as promtool's `check metrics` does, and says every problem.

    prometheus.py FILE                      exit 1 when there is a problem
    prometheus.py FILE 'NAME{a="b"}'        prints that sample's value; labels may be a part of those that it has
"""
import re
import sys

NAME = re.compile(r'[a-zA-Z_:][a-zA-Z0-9_:]*')
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"')
NUMBER = re.compile(r'[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?|[-+]?Inf|NaN')
# what is counted must be said in these units
BAD_UNITS = ('milliseconds', 'microseconds', 'nanoseconds', 'minutes', 'hours', 'bits', 'kilobytes', 'megabytes', 'percent')


def labels_of(text):
    found = {}
    while text:
        match = LABEL.match(text)
        if not match or match[1] in found:
            return None
        found[match[1]] = match[2]
        text = text[match.end():]
        if text and not text.startswith(','):
            return None
        text = text[1:]
    return found


def read(text):
    problems, samples, types, helps, closed, current = [], {}, {}, {}, set(), None
    if not text.endswith('\n'):
        problems.append('the last line does not end')
    for number, line in enumerate(text.split('\n')[:-1], 1):
        def problem(what):
            problems.append(f'line {number}: {what}: {line}')
        if line.startswith('# '):
            word, name, rest = (line[2:].split(' ', 2) + ['', ''])[:3]
            if word not in ('HELP', 'TYPE') or not NAME.fullmatch(name):
                problem('no HELP or TYPE line')
                continue
            if name != current:
                closed.add(current)
                current = name
            if name in closed:
                problem('the family is taken up again')
            table = helps if word == 'HELP' else types
            if name in table:
                problem(f'a second {word}')
            if word == 'TYPE' and rest not in ('counter', 'gauge', 'histogram', 'summary', 'untyped'):
                problem('no such type')
            if not rest:
                problem('nothing said')
            table[name] = rest
            continue
        match = re.fullmatch(r'([^{ ]+)(?:\{(.*)\})? ([^ ]+)', line)
        if not match or not NAME.fullmatch(match[1]):
            problem('no sample')
            continue
        name, labels, value = match[1], labels_of(match[2] or ''), match[3]
        if labels is None:
            problem('labels')
            continue
        if not NUMBER.fullmatch(value):
            problem('no number')
            continue
        if name != current or name not in types or name not in helps:
            problem('not under its HELP and TYPE')
        kind = types.get(name)
        if kind == 'counter' and not name.endswith('_total'):
            problem('a counter whose name does not end in _total')
        if kind == 'gauge' and name.endswith('_total'):
            problem('a gauge whose name ends in _total')
        if kind == 'counter' and float(value) < 0:
            problem('a negative counter')
        if any(unit in name for unit in BAD_UNITS):
            problem('not a base unit')
        key = (name, tuple(sorted(labels.items())))
        if key in samples:
            problem('the same series twice')
        samples[key] = value
    return problems, samples


def main():
    with open(sys.argv[1], encoding='utf-8') as file:
        problems, samples = read(file.read())
    if len(sys.argv) == 2:
        print('\n'.join(problems) or f'{len(samples)} series')
        return 1 if problems or not samples else 0
    match = re.fullmatch(r'([^{]+)(?:\{(.*)\})?', sys.argv[2])
    wanted = labels_of(match[2] or '').items()
    found = [value for (name, labels), value in samples.items() if name == match[1] and wanted <= dict(labels).items()]
    if len(found) != 1:
        print(f'{len(found)} series like {sys.argv[2]}')
        return 1
    print(found[0])
    return 0


sys.exit(main())
