"""A slow model that several nodes serve together: the first answers only while each of the others is connected to it.

It takes vLLM's options for that (`--nnodes --node-rank --master-addr --master-port --headless`), and ends like vLLM
when a node is lost.
"""

from __future__ import annotations

import argparse
import os
import socket
import sys
import threading
from pathlib import Path

from tests.support.project import Project
from tests.support.slow_model import SlowModel

_PATIENCE_S = 60


def lead(nodes: int, address: tuple[str, int]) -> None:
    """Wait for all others; from then on, end with the first that leaves."""
    with socket.create_server(address) as meeting:
        meeting.settimeout(_PATIENCE_S)
        others = [meeting.accept()[0] for _ in range(nodes - 1)]
    for other in others:
        threading.Thread(target=_end_with, args=(other,), daemon=True).start()


def _end_with(other: socket.socket) -> None:
    other.recv(1)
    print("RuntimeError: lost a node", flush=True)
    os._exit(1)


def follow(address: tuple[str, int]) -> None:
    """Hold a part until the first node ends."""
    for _ in range(_PATIENCE_S * 10):
        try:
            connection = socket.create_connection(address)
        except OSError:
            threading.Event().wait(0.1)
        else:
            connection.recv(1)
            return
    sys.exit("the first node never came")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name, kind in (("port", int), ("project", Path), ("latency", float), ("nnodes", int), ("node-rank", int)):
        parser.add_argument(f"--{name}", type=kind, required=True)
    parser.add_argument("--master-addr", required=True)
    parser.add_argument("--master-port", type=int, required=True)
    parser.add_argument("--headless", action="store_true")
    options = parser.parse_args()
    address = (options.master_addr, options.master_port)
    if options.headless:
        follow(address)
        return
    lead(options.nnodes, address)
    with SlowModel(Project(options.project), options.latency, options.port):
        threading.Event().wait()


if __name__ == "__main__":
    main()
