"""`python -m overlay.soak`: see `--help`, and `--list`."""

import argparse
import logging
import sys

import trio

from overlay.soak import command, mesh, swarm, wire
from overlay.soak.scenario import OVERLAY

ROLES = {"--child", "--flood"}


def main() -> int:
    """Run the soak, or be one of the processes that its scenarios start."""
    if ROLES.isdisjoint(sys.argv):
        return command.main(OVERLAY, module="overlay.soak")
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser()
    parser.add_argument("--child", nargs="+")
    parser.add_argument("--flood", nargs="+")
    parser.add_argument("--sources", type=int, default=1)
    parser.add_argument("--kind", default="forged")
    role = parser.parse_args()
    if role.flood:
        trio.run(wire.flood, role.flood, role.sources, role.kind)
    else:
        _be_child(*role.child)
    return 0


def _be_child(role: str, *addresses: str) -> None:
    if role in ("subject", "member"):
        trio.run(swarm.subject if role == "subject" else mesh.member)
        return
    trio.run({"residents": swarm.residents, "visitors": swarm.visitors}[role], list(addresses))


if __name__ == "__main__":
    sys.exit(main())
