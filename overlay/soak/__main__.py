"""`python -m overlay.soak`: see `--help`, and `--list`."""

import argparse
import logging
import sys

import trio

from overlay.soak import command, flooders, mesh, swarm
from overlay.soak.scenario import OVERLAY

CHILD = "--child"
ALONE = {
    "subject": swarm.subject,
    "member": mesh.member,
    "target": flooders.target,
    "attackers": flooders.attackers,
}
JOINING = {"residents": swarm.residents, "visitors": swarm.visitors}


def main() -> int:
    """Run the soak, or be one of the processes that its scenarios start."""
    if CHILD not in sys.argv:
        return command.main(OVERLAY, module="overlay.soak")
    logging.disable(logging.CRITICAL)
    parser = argparse.ArgumentParser()
    parser.add_argument(CHILD, nargs="+")
    role, *addresses = parser.parse_args().child
    if role in ALONE:
        trio.run(ALONE[role])
    else:
        trio.run(JOINING[role], addresses)
    return 0


if __name__ == "__main__":
    sys.exit(main())
