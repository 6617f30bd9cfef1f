#!/bin/bash
# In the sandbox the gateway follows resolv.conf and hosts when they are replaced by rename, and when a link leads to
# another folder.
#
#   dig in one ──── slipgate 10.7.0.1, an /etc of its own ──── resolvers at 203.0.113.2 and 2001:db8:203::2
. "$(dirname "$0")/../support/harness.sh"
for address in 203.0.113.2 2001:db8:203::2; do
  background "at-$address" in_server python3 "$here/dns.py" resolver hole.test $address
  wait_for 10 in_server dig +tries=1 +time=1 "@$address" any.test A
done
mkdir -p "$W/etc"
cp /etc/passwd /etc/nsswitch.conf "$W/etc/" 2>/dev/null || true
echo "nameserver 203.0.113.66" >"$W/etc/resolv.conf" # a hole
echo "127.0.0.1 localhost" >"$W/etc/hosts"
gateway
# Its own mount namespace, which ip-netns(8) made: files there can be replaced, unlike those that are mounted singly.
nsenter -t "${pid[gateway]}" -m mount --bind "$W/etc" /etc
client one
ask() { in_client one dig +short +tries=1 +time=2 @10.7.0.1 "$@"; }
is() { [ "$(ask "$2" A)" = "$1" ]; }
answers() { is 192.0.2.1 "$1"; }
replace() { # file of /etc
  cat >"$W/etc/new"
  mv "$W/etc/new" "$W/etc/$1"
}

printf '192.0.2.77 printer.home\n' | replace hosts
wait_for 10 is 192.0.2.77 printer.home
printf '192.0.2.78 printer.home\n' | replace hosts
wait_for 10 is 192.0.2.78 printer.home

echo "nameserver 2001:db8:203::2" | replace resolv.conf
wait_for 20 answers second.test
mkdir -p "$W/etc/hole" "$W/etc/good"
echo "nameserver 203.0.113.66" >"$W/etc/hole/resolv.conf"
echo "nameserver 203.0.113.2" >"$W/etc/good/resolv.conf"
ln -s hole/resolv.conf "$W/etc/new"
mv -T "$W/etc/new" "$W/etc/resolv.conf"
nobody() { ! answers "$RANDOM.test"; }
wait_for 20 nobody
ln -s good/resolv.conf "$W/etc/new"
mv -T "$W/etc/new" "$W/etc/resolv.conf"
wait_for 20 answers third.test
