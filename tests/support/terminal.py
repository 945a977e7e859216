# SPDX-License-Identifier: Apache-2.0
"""A terminal for a program under test."""

import fcntl
import os
import pty
import struct
import subprocess
from contextlib import ExitStack, contextmanager

_TIOCGPTN, _TIOCSPTLCK = 0x80045430, 0x40045431  # ioctl_tty(2)


def _own(folder, stack):
    """One of a devpts that is mounted for it: a bare chroot has none."""
    folder.mkdir()
    subprocess.run(["mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666", "devpts", folder], check=True,
                   capture_output=True)
    stack.callback(subprocess.run, ["umount", "-l", folder], check=True, capture_output=True)
    master = os.open(folder / "ptmx", os.O_RDWR | os.O_NOCTTY)
    stack.callback(os.close, master)
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    number, = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, bytes(4)))
    return master, os.open(folder / str(number), os.O_RDWR | os.O_NOCTTY)


@contextmanager
def terminal(folder):
    """(master, slave); the folder must not exist, and is used only where the machine has no terminals."""
    with ExitStack() as stack:
        try:
            master, slave = pty.openpty()
            stack.callback(os.close, master)
        except OSError:
            master, slave = _own(folder, stack)
        stack.callback(os.close, slave)
        yield master, slave
