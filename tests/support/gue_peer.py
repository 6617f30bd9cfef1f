#!/usr/bin/env python3
"""A TUN device whose packets travel in UDP: what Linux's fou and gue modules do, for kernels that have neither.

    gue_peer.py DEVICE LOCAL REMOTE FORM4 FORM6       LOCAL and REMOTE: IP:PORT, [IP]:PORT

FORM4 and FORM6 say how packets of each family leave: `header` (GUE variant 0) or `bare` (variant 1, FOU). Prints `up` when
the device is there (it may be moved to another namespace then), and afterwards, whenever it is another than before, the form
of what comes for a family and at which port: `4 header 6080`, `6 bare 6081`; `empty` for every empty datagram. Commands, a
line each, answered by `done` and the line:

    form 4|6 header|bare      from now on
    bind 4|6 IP:PORT          this family goes from, and is taken at, another socket
    raw HEX [IP:PORT]         sends these bytes, from a socket of their own if told from where
"""
import fcntl
import ipaddress
import os
import select
import socket
import struct
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454ca, 1, 0x1000
PROTOCOL = {4: 4, 6: 41}


def endpoint(text):
    host, port = text.rsplit(':', 1)
    return host.strip('[]'), int(port)


def bound(at):
    host, port = endpoint(at)
    family = socket.AF_INET6 if ipaddress.ip_address(host).version == 6 else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_DGRAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
    sock.bind((host, port))
    return sock


def main():
    device, local, remote, *forms = sys.argv[1:]
    remote = endpoint(remote)
    form = dict(zip((4, 6), forms))
    tun = os.open('/dev/net/tun', os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack('16sH22x', device.encode(), IFF_TUN | IFF_NO_PI))
    sock = bound(local)
    sockets = {4: sock, 6: sock}
    said = {}

    def say(text):
        print(text, flush=True)

    def command(line):
        word, *rest = line.split()
        if word == 'form':
            form[int(rest[0])] = rest[1]
        elif word == 'bind':
            sockets[int(rest[0])] = bound(rest[1])
        elif word == 'raw':
            data = bytes.fromhex(rest[0].replace('-', ''))
            (bound(rest[1]) if len(rest) > 1 else sockets[4]).sendto(data, remote)
        say(f'done {line}')

    def from_inside(packet):
        version = packet[0] >> 4
        header = bytes([0, PROTOCOL[version], 0, 0]) if form[version] == 'header' else b''
        sockets[version].sendto(header + packet, remote)

    def from_outside(datagram, port):
        if not datagram:
            return say('empty')
        bare = datagram[0] >> 6 == 1
        packet = datagram if bare else datagram[4:]
        version = packet[0] >> 4
        if not bare and datagram[:4] != bytes([0, PROTOCOL[version], 0, 0]):
            sys.exit(f'wrong header {datagram[:4].hex()} before version {version}')
        seen = f'{"bare" if bare else "header"} {port}'
        if said.get(version) != seen:
            said[version] = seen
            say(f'{version} {seen}')
        try:
            os.write(tun, packet)
        except OSError as error:  # the device is not up yet
            print(error, file=sys.stderr)

    say('up')
    pending = b''
    while True:
        ready, _, _ = select.select([tun, sys.stdin, *set(sockets.values())], [], [])
        if tun in ready:
            from_inside(os.read(tun, 65536))
        if sys.stdin in ready:
            pending += os.read(sys.stdin.fileno(), 65536)
            *lines, pending = pending.split(b'\n')
            for line in lines:
                command(line.decode())
        for each in set(sockets.values()):
            if each in ready:
                from_outside(each.recv(65536), each.getsockname()[1])


if __name__ == '__main__':
    main()
