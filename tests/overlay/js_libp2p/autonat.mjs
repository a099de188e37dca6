// A peer of js-libp2p with AutoNAT v2 that does what the test tells it: one JSON line in, one JSON line out.
import readline from 'node:readline'
import { autoNATv2 } from '@libp2p/autonat-v2'
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const answer = (value) => process.stdout.write(JSON.stringify(value) + '\n')

const node = await createLibp2p({
  addresses: { listen: process.env.LISTEN.split(',') },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  services: {
    identify: identify(),
    ping: ping(),
    autonat: autoNATv2()
  }
})

const commands = {
  dial: async ({ address }) => String((await node.dial(multiaddr(address))).remotePeer),
  addresses: async () => node.getMultiaddrs().map(String)
}

answer({ peer: String(node.peerId), addresses: node.getMultiaddrs().map(String) })
for await (const line of readline.createInterface({ input: process.stdin })) {
  const { run, ...rest } = JSON.parse(line)
  try {
    answer({ ok: (await commands[run](rest)) ?? null })
  } catch (error) {
    answer({ error: `${error.name}: ${error.message}`.slice(0, 300) })
  }
}
process.exit(0)
