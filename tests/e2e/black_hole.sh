#!/bin/bash
# Connections to a black hole stay pending, and other flows keep their round trip.
# serial: measures time
#
#   one ──── slipgate ──┬─ 203.0.113.66, 2001:db8:203::66 (nobody there)
#                       └─ echo at 203.0.113.2
. "$(dirname "$0")/../support/harness.sh"
servers
gateway
client one

peer one black-hole 203.0.113.66 203.0.113.2
peer one black-hole 2001:db8:203::66 2001:db8:203::2
