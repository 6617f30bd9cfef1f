#!/usr/bin/env python3
"""Reads a pcapng file block by block, strictly, and prints a line for each packet: direction, bytes, its comment.
Every packet must be whole IP; exit 1 with the reason when something is not as the format wants it.

    pcapng.py FILE
"""
import struct
import sys


def options(data):
    found = {}
    while data:
        code, size = struct.unpack_from('=HH', data)
        if code == 0:
            assert size == 0 and len(data) == 4, 'bytes behind the end of options'
            return found
        padded = (size + 3) // 4 * 4
        assert len(data) >= 4 + padded, 'an option longer than its block'
        found[code] = data[4:4 + size]
        data = data[4 + padded:]
    assert not found, 'options without an end'
    return found


def main():
    data = open(sys.argv[1], 'rb').read()
    interfaces, at, packets = 0, 0, 0
    while at < len(data):
        kind, size = struct.unpack_from('=II', data, at)
        assert size >= 12 and size % 4 == 0 and at + size <= len(data), f'a block of {size} bytes at {at}'
        assert struct.unpack_from('=I', data, at + size - 4)[0] == size, 'the two lengths of a block differ'
        body = data[at + 8:at + size - 4]
        if at == 0:
            assert kind == 0x0a0d0d0a and struct.unpack_from('=IHH', body) == (0x1a2b3c4d, 1, 0), 'no section header'
            assert b'slipgate' in options(body[16:])[4]
        elif kind == 1:
            assert struct.unpack_from('=H', body)[0] == 101, 'not LINKTYPE_RAW'
            assert options(body[8:])[9] == b'\x09', 'times are not in nanoseconds'
            interfaces += 1
        elif kind == 6:
            interface, _, _, captured, original = struct.unpack_from('=IIIII', body)
            assert interface < interfaces and captured == original
            packet, said = body[20:20 + captured], options(body[20 + (captured + 3) // 4 * 4:])
            length = struct.unpack_from('>H', packet, 2)[0] if packet[0] >> 4 == 4 else 40 + struct.unpack_from('>H', packet, 4)[0]
            assert length == captured, f'{captured} bytes captured of a packet of {length}'
            direction = {1: 'in', 2: 'out'}[struct.unpack('=I', said[2])[0]]
            print(direction, captured, said.get(1, b'').decode())
            packets += 1
        else:
            raise AssertionError(f'a block of type {kind}')
        at += size
    assert packets, 'no packets'


try:
    main()
except AssertionError as error:
    sys.exit(f'{sys.argv[1]}: {error}')
