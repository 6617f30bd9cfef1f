#!/bin/bash
# -R to vsock (the guest's own, CID 1) and to TIPC services, of Debian's kernel: bytes both ways, the end, who is not there.
# serial: an emulated processor needs a real one
# not sanitized: the guest has no room for it
#
#   all in QEMU: the kernel's WireGuard, 10.7.0.2 ── lo ── slipgate 10.7.0.1 -R ── vsock and TIPC listeners
. "$(dirname "$0")/../support/harness.sh"
. "$here/guest.sh"
write_config
mkdir "$W/bin"
strip -o "$W/bin/slipgate" "$PROGRAM_AS_BUILT"
PATH=$W/bin:$PATH
GUEST_PROGRAMS="$GUEST_PROGRAMS slipgate"
GUEST_MODULES="virtio_pci virtio_net wireguard vsock_loopback tipc"
GUEST_PYTHON="socket threading"
cat >"$W/script" <<SCRIPT
set -e
cat >/tmp/gateway.conf <<'CONF'
$(cat "$W/user/gateway.conf")
CONF
chmod 600 /tmp/gateway.conf
XDG_RUNTIME_DIR=/tmp slipgate wireguard /tmp/gateway.conf --threads 1 -R 8001:vsock:1:5001 -R 8002:vsock:1:5002 -R 8003:vsock:1:5003 \
  -R 8004:tipc:18888:1 -R 8005:tipc:18888:2 -R 8006:tipc:18888:3 -R 8007:vsock:77:1 -R tcppp://8008:tipc:18888:1 2>/tmp/gateway.log &
ip link add wg0 type wireguard
wg set wg0 private-key <(echo $KEY_one) peer $PUBLIC_gateway preshared-key <(echo $PRESHARED) \
  endpoint 127.0.0.1:51820 allowed-ips 10.7.0.0/24
ip addr add 10.7.0.2/32 dev wg0
ip link set wg0 mtu 1420 up
ip route add 10.7.0.0/24 dev wg0
until ping -n -c 1 -W 1 10.7.0.1 >/dev/null; do :; done
PYTHONHOME=/usr python3 - <<'PYTHON' || { status=\$?; cat /tmp/gateway.log; exit \$status; }
from socket import *
import threading
def repeat(sock):
    file = sock.makefile("rb")
    line = file.readline()
    if line.startswith(b"PROXY"):
        file.readline() # an end with something unread would be a reset
    sock.sendall(line.strip() + b" is what was said")
def bring(sock):
    sock.sendall(bytes(1000000))
def listen(family, address, serve):
    listener = socket(family, SOCK_STREAM)
    listener.bind(address)
    listener.listen()
    def accept():
        while True:
            sock, _ = listener.accept()
            with sock:
                serve(sock)
    threading.Thread(target=accept, daemon=True).start()
for number, serve in (1, repeat), (2, bring):
    listen(AF_VSOCK, (VMADDR_CID_ANY, 5000 + number), serve)
    listen(AF_TIPC, (TIPC_ADDR_NAMESEQ, 18888, number, number, TIPC_CLUSTER_SCOPE), serve)
def answer(port, words=b""):
    with create_connection(("10.7.0.1", port), 20) as sock:
        sock.sendall(words)
        return b"".join(iter(lambda: sock.recv(65536), b""))
for port in 8001, 8004, 8008:
    print(answer(port, b"hello %d\n" % port).decode())
for port in 8002, 8005:
    print(port, "brings", len(answer(port)))
for port in 8003, 8006, 8007:
    try:
        answer(port)
    except ConnectionRefusedError:
        print(port, "is refused")
PYTHON
SCRIPT
status=0
guest_script 120 "$W/script" >"$W/guest.out" || status=$?
[ $status = 0 ] || { cat "$W/guest.out"; fail "the guest's exit status is $status"; }
for port in 8001 8004; do expect "hello $port is what was said" cat "$W/guest.out"; done
grep -q "PROXY TCP4 10.7.0.2 10.7.0.1 [0-9]* 8008 is what was said" "$W/guest.out" || { cat "$W/guest.out"; fail "the PROXY header"; }
for port in 8002 8005; do expect "$port brings 1000000" cat "$W/guest.out"; done
for port in 8003 8006 8007; do expect "$port is refused" cat "$W/guest.out"; done
