"""Starts a program as systemd does when it activates by socket.

    activate.py NAME=ADDRESS … -- PROGRAM ARGUMENT …

Each ADDRESS (HOST:PORT or unix:/path) is listened on here, and passed on by LISTEN_FDS; an empty NAME passes none.
"""

import os
import socket
import sys

FIRST = 3


def listen(address):
    if address.startswith("unix:"):
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(address.removeprefix("unix:"))
    else:
        host, port = address.rsplit(":", 1)
        listener = socket.socket()
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, int(port)))
    listener.listen(128)
    return listener


def main():
    split = sys.argv.index("--")
    sockets, program = sys.argv[1:split], sys.argv[split + 1 :]
    named = [given.split("=", 1) for given in sockets]
    listeners = [listen(address) for _, address in named]
    # First out of the way, then to their places, so that none is overwritten.
    parked = [os.dup2(listener.fileno(), 100 + number) for number, listener in enumerate(listeners)]
    for number, parked_at in enumerate(parked):
        os.dup2(parked_at, FIRST + number, inheritable=True)
        os.close(parked_at)
    os.environ["LISTEN_PID"] = str(os.getpid())
    os.environ["LISTEN_FDS"] = str(len(listeners))
    os.environ["LISTEN_FDNAMES"] = ":".join(name for name, _ in named)
    os.execv(program[0], program)


main()
