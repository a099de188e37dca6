"""Run in a namespace of its own: serves /echo/1, and says on stdout what it announces."""

import json
import sys
import time

import trio

from overlay import HostConfig, Stream, generate_identity, open_host
from overlay.addresses import is_circuit

KEY = b"behind a NAT"


async def echo(stream: Stream) -> None:
    while True:
        await stream.send(await stream.receive())


async def main(bootstrap: str, listen: str) -> None:
    config = HostConfig(listen_addresses=(listen,), network="namespaces", relays=("auto",))
    async with open_host(config, generate_identity(), clock=time.time) as host:  # noqa: TID251
        host.serve("/echo/1", echo, streams_max=8)
        await host.connect([bootstrap])
        while not any(is_circuit(each) for each in host.addresses):  # noqa: ASYNC110
            await trio.sleep(0.1)
        await host.provide(KEY)
        sys.stdout.write(json.dumps({"peer": host.peer_id, "addresses": host.addresses}) + "\n")
        sys.stdout.flush()
        await trio.sleep_forever()


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
