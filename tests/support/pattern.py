"""Bytes that both ends of a test can make for themselves: no two megabytes alike, cheap to compute."""
import hashlib


def pattern(name, start, size):
    """`size` bytes from `start` on (both multiples of 1,000,000) of the endless sequence `name`."""
    return b''.join(hashlib.shake_256(f'{name} {at}'.encode()).digest(1_000_000)
                    for at in range(start, start + size, 1_000_000))


def digest(name, size):
    whole = hashlib.sha256()
    for at in range(0, size, 1_000_000):
        whole.update(pattern(name, at, 1_000_000))
    return whole.hexdigest()
