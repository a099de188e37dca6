// A peer of js-libp2p that does what the test tells it: one JSON line in, one JSON line out.
import { createHash } from 'node:crypto'
import readline from 'node:readline'
import { autoNAT } from '@libp2p/autonat'
import { circuitRelayServer, circuitRelayTransport } from '@libp2p/circuit-relay-v2'
import { dcutr } from '@libp2p/dcutr'
import { gossipsub } from '@libp2p/gossipsub'
import { identify } from '@libp2p/identify'
import { kadDHT, passthroughMapper } from '@libp2p/kad-dht'
import { noise } from '@libp2p/noise'
import { peerIdFromString } from '@libp2p/peer-id'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { tls } from '@libp2p/tls'
import { webSockets } from '@libp2p/websockets'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import { create as multihash } from 'multiformats/hashes/digest'

const network = process.argv[2]
const roles = process.argv[3].split(',') // of relay, dcutr, autonat, tls, ws, quic
const has = (role) => roles.includes(role)
const echo = `/cocoon/${network}/interop/1`
const bytes = (text) => new Uint8Array(Buffer.from(text, 'base64'))
const text = (data) => Buffer.from(data.subarray()).toString('base64')
const answer = (value) => process.stdout.write(JSON.stringify(value) + '\n')
const cid = (hex) => CID.createV1(0x55, multihash(0x12, new Uint8Array(Buffer.from(hex, 'hex'))))

// docs/overlay.md, "Gossip": the id of a message is 20 bytes of SHA-256 over topic, zero byte, author, data
const messageId = (message) => createHash('sha256')
  .update(message.topic).update('\0').update(message.from.toMultihash().bytes).update(message.data)
  .digest().subarray(0, 20)

const pubsub = (components) => {
  const made = gossipsub({
    msgIdFn: messageId,
    allowPublishToZeroTopicPeers: true,
    scoreParams: { IPColocationFactorWeight: 0 } // every peer of this test has one address
  })(components)
  made.protocols = [`/cocoon/${network}/meshsub/1.1.0`]
  return made
}

const transport = async () => {
  if (has('quic')) return (await import('@chainsafe/libp2p-quic')).quic() // a native library
  return has('ws') ? webSockets() : tcp()
}

const node = await createLibp2p({
  addresses: {
    listen: [process.env.LISTEN ?? '/ip4/127.0.0.1/tcp/0'],
    appendAnnounce: process.env.ANNOUNCE ? [process.env.ANNOUNCE] : []
  },
  transports: [await transport(), circuitRelayTransport()],
  connectionEncrypters: [has('tls') ? tls() : noise()],
  streamMuxers: [yamux()],
  connectionManager: { inboundConnectionThreshold: 1000 },
  services: {
    identify: identify(),
    ping: ping(),
    pubsub,
    dht: kadDHT({
      protocol: `/cocoon/${network}/kad/1.0.0`,
      clientMode: false,
      peerInfoMapper: passthroughMapper,
      allowQueryWithZeroPeers: true,
      validators: { cocoon: async () => {} },
      selectors: { cocoon: () => 0 }
    }),
    ...(has('relay') ? { relay: circuitRelayServer() } : {}),
    ...(has('dcutr') ? { dcutr: dcutr() } : {}),
    ...(has('autonat') ? { autonat: autoNAT() } : {})
  }
})

class Frames { // four bytes of length, big-endian, and then that many bytes
  constructor (stream) { this.chunks = stream[Symbol.asyncIterator](); this.held = Buffer.alloc(0) }

  async take (count) {
    while (this.held.length < count) {
      const { value, done } = await this.chunks.next()
      if (done) return null
      this.held = Buffer.concat([this.held, value.subarray()])
    }
    const taken = this.held.subarray(0, count)
    this.held = this.held.subarray(count)
    return taken
  }

  async next () {
    const header = await this.take(4)
    return header === null ? null : await this.take(header.readUInt32BE(0))
  }
}

async function send (stream, body) {
  const header = Buffer.alloc(4)
  header.writeUInt32BE(body.length)
  if (!stream.send(Buffer.concat([header, body]))) await stream.onDrain()
}

await node.handle(echo, async (stream) => {
  const frames = new Frames(stream)
  for (let body = await frames.next(); body !== null; body = await frames.next()) {
    await send(stream, Buffer.from(body).reverse())
  }
  await stream.close()
}, { runOnLimitedConnection: true })

const heard = []
node.services.pubsub.addEventListener('message', ({ detail }) => {
  heard.push({ topic: detail.topic, source: String(detail.from), data: text(detail.data) })
})

const commands = {
  dial: async ({ address }) => String((await node.dial(multiaddr(address))).remotePeer),
  ping: async ({ peer }) => await node.services.ping.ping(peerIdFromString(peer)),
  identified: async ({ peer }) => {
    const known = await node.peerStore.get(peerIdFromString(peer))
    return {
      agent: new TextDecoder().decode(known.metadata.get('AgentVersion')),
      protocols: known.protocols,
      addresses: known.addresses.map((each) => String(each.multiaddr))
    }
  },
  exchange: async ({ peer, bodies }) => {
    const stream = await node.dialProtocol(
      peer.startsWith('/') ? multiaddr(peer) : peerIdFromString(peer), echo, { runOnLimitedConnection: true })
    const frames = new Frames(stream)
    const answers = []
    for (const body of bodies) {
      await send(stream, Buffer.from(bytes(body)))
      answers.push(text(await frames.next()))
    }
    await stream.close()
    return answers
  },
  subscribe: async ({ topic }) => { node.services.pubsub.subscribe(topic) },
  neighbours: async ({ topic }) => node.services.pubsub.getMeshPeers(topic).map(String),
  publish: async ({ topic, data }) => (await node.services.pubsub.publish(topic, bytes(data))).recipients.map(String),
  heard: async () => heard.splice(0),
  routing: async () => node.services.dht.routingTable.size,
  provide: async ({ key }) => { await node.contentRouting.provide(cid(key)) },
  providers: async ({ key }) => {
    const found = []
    for await (const each of node.contentRouting.findProviders(cid(key))) found.push(String(each.id))
    return found
  },
  put: async ({ key, value }) => { await node.contentRouting.put(new TextEncoder().encode(key), bytes(value)) },
  get: async ({ key }) => text(await node.contentRouting.get(new TextEncoder().encode(key))),
  find: async ({ peer }) => (await node.peerRouting.findPeer(peerIdFromString(peer))).multiaddrs.map(String),
  listen: async ({ address }) => {
    await node.components.transportManager.listen([multiaddr(address)])
    return node.getMultiaddrs().map(String)
  },
  ways: async ({ peer }) => node.getConnections(peerIdFromString(peer)).map((each) => String(each.remoteAddr)),
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
