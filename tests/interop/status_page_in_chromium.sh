#!/bin/bash
# The status page as a browser shows it: names of peers, a flow and a drop that are there now, totals that move, and a
# picture of it ($STATUS_PAGE_PICTURE, to be looked at, when given).
#
#   chromium ── HTTP ── slipgate ──── web on 203.0.113.2
#             one ────────┘
. "$(dirname "$0")/../support/harness.sh"
command -v chromium >/dev/null || skip "no chromium"
servers
write_config
sed -i 's/^# one/# Name = one/;s/^# two/# Name = <i>two<\/i>/' "$W/user/gateway.conf" # a name is text, never markup
gateway --name office --metrics 127.0.0.1:9100
client one
wait_for 5 in_client one ping -n -c 1 -W 1 10.7.0.1
[ "$(in_client one curl -sS --max-time 10 http://203.0.113.2:8080/bytes/2000000 | wc -c)" = 2000000 ] || fail "curl"
expect_status 7 in_client one curl -sS --max-time 5 http://203.0.113.2:9/ # nobody listens there
conversation held peer one keep 203.0.113.2
wait_for 5 heard held open

browser() { # WORD...
  HOME=$W in_gateway timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-sync \
    --disable-background-networking --disable-component-update --user-data-dir="$W/chromium" --window-size=1280,1100 \
    --virtual-time-budget=4000 "$@" http://127.0.0.1:9100/ 2>"$W/chromium.log"
}
browser --dump-dom >"$W/page.html" || { cat "$W/chromium.log"; fail "chromium"; }
python3 - "$W/page.html" <<'PYTHON'
import html.parser, sys

class Page(html.parser.HTMLParser):
    """Text by the id of the section or table that it stands in, and the points of lines."""
    def __init__(self):
        super().__init__()
        self.at, self.text, self.lines = '', {}, []
    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.at = attributes.get('id', self.at)
        if tag == 'polyline':
            self.lines.append((self.at, attributes['points']))
        assert not (tag == 'i' and self.at == 'peers'), 'a name became markup'
    def handle_data(self, data):
        self.text[self.at] = self.text.get(self.at, '') + ' ' + data.strip()

page = Page()
page.feed(open(sys.argv[1], encoding='utf-8').read())
def says(at, *words):
    for word in words:
        assert word in page.text.get(at, ''), f'no {word!r} in {at}: {page.text.get(at)}'
says('name', 'office')
says('listen', '51820')
says('peers', 'one', '<i>two</i>', 'never', '198.51.100.2')
says('flows', 'one', 'tcp 10.7.0.2', '203.0.113.2:7000', 'established')
says('drops', 'connection_refused')
says('numbers', 'Flows', 'Handshakes', '2.')  # two megabytes and more
assert not page.text.get('lost', '').strip(), page.text['lost']
points = dict(page.lines[:1])['throughput'].split()
assert len(points) >= 2, f'the graph has {points}'
PYTHON
browser --screenshot="$W/page.png" || { cat "$W/chromium.log"; fail "the picture"; }
python3 - "$W/page.png" <<'PYTHON'
import struct, sys, zlib
data = open(sys.argv[1], 'rb').read()
assert data[:8] == b'\x89PNG\r\n\x1a\n', 'no PNG'
width, height = struct.unpack('>II', data[16:24])
assert (width, height) == (1280, 1100), (width, height)
assert len(data) > 15000, f'an empty picture, {len(data)} bytes'
PYTHON
[ -z "${STATUS_PAGE_PICTURE:-}" ] || cp "$W/page.png" "$STATUS_PAGE_PICTURE"
