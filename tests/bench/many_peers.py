#!/usr/bin/env python3
"""Prints a wg-quick file for a gateway with many peers that nobody is: many_peers.py PRIVATE-KEY COUNT"""
import base64
import os
import sys

key, count = sys.argv[1], int(sys.argv[2])
print(f'[Interface]\nPrivateKey = {key}\nListenPort = 51820\nAddress = 10.7.0.1/24')
for number in range(count):
    # Any 32 bytes are a public key to X25519.
    public = base64.b64encode(os.urandom(32)).decode()
    print(f'[Peer]\nPublicKey = {public}\nAllowedIPs = 10.{8 + (number >> 16)}.{number >> 8 & 255}.{number & 255}/32')
