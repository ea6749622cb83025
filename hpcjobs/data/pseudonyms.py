"""Pseudonyms for row ids: the same key gives the same ones, so that tables still join; there is no way back."""

import hashlib
import hmac
import os
import stat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hpcjobs.errors import SettingsError

SHORTEST_KEY = 16
LENGTH = 32  # hexadecimal digits kept of the 64: 128 bits


def read_key(path: Path) -> bytes:
    """All bytes of a key file that nobody else can read."""
    advice = f"make one: (umask 077; head -c 32 /dev/urandom >{path.name})"
    if path.is_dir():
        raise SettingsError(f"--key {path}: not a plain file; {advice}")
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError as error:
        raise SettingsError(f"--key {path}: cannot be read: {error.strerror}; {advice}") from None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise SettingsError(f"--key {path}: not a plain file; {advice}")
        if status.st_mode & 0o077:
            mode = stat.S_IMODE(status.st_mode)
            raise SettingsError(f"--key {path}: others may read or change it (mode {mode:04o}); run chmod 600 {path}")
        key = file.read()
    if len(key) < SHORTEST_KEY:
        raise SettingsError(f"--key {path}: {len(key)} bytes, expected at least {SHORTEST_KEY}; {advice}")
    return key


def pseudonyms(identities: NDArray[Any], key: bytes) -> NDArray[np.bytes_]:
    """HMAC-SHA256 of each id (rows,) as it is written, as 32 hexadecimal digits."""
    return np.array(
        [hmac.new(key, _written(value), hashlib.sha256).hexdigest()[:LENGTH].encode() for value in identities.tolist()],
        dtype=np.bytes_,
    )


def _written(value: bytes | int) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()
