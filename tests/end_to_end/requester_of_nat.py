"""Run in a namespace of its own: finds who serves /echo/1 in the DHT, and asks it."""

import json
import sys
import time
from hashlib import sha256

import trio

from overlay import HostConfig, generate_identity, open_host

KEY = b"behind a NAT"
BODY = bytes(range(256)) * 4000


async def main(bootstrap: str, listen: str) -> None:
    config = HostConfig(listen_addresses=(listen,), network="namespaces")
    async with open_host(config, generate_identity(), clock=time.time) as host:  # noqa: TID251
        await host.connect([bootstrap])
        with trio.fail_after(60):
            found = await host.find_providers(KEY)
            answer = await host.request(found[0].peer_id, "/echo/1", BODY)
        same = sha256(answer).digest() == sha256(BODY).digest()
        found_at = [found[0].peer_id, *found[0].addresses]
        sys.stdout.write(json.dumps({"same": same, "found": found_at}) + "\n")


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
