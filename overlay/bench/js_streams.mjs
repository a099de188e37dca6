// The streams measurement of `overlay.bench` in js-libp2p: `serve`, or `streams ADDRESS`.
import { identify } from '@libp2p/identify'
import { noise } from '@libp2p/noise'
import { tcp } from '@libp2p/tcp'
import { yamux } from '@libp2p/yamux'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'

const [, , role, address] = process.argv
const ECHO = '/cocoon/bench/bench/echo/1'
const SINK = '/cocoon/bench/bench/sink/1'
const UPLOAD_BYTES = 100 * 1000000
const CHUNK_BYTES = 64 * 1024

const node = await createLibp2p({
  addresses: { listen: ['/ip4/127.0.0.1/tcp/0'] },
  transports: [tcp()],
  connectionEncrypters: [noise()],
  streamMuxers: [yamux()],
  connectionManager: { inboundConnectionThreshold: 1000 },
  services: { identify: identify() }
})

class Frames { // four bytes of length, big-endian, and then that many bytes
  constructor (stream) { this.chunks = stream[Symbol.asyncIterator](); this.held = []; this.size = 0 }

  async take (count) {
    while (this.size < count) {
      const { value, done } = await this.chunks.next()
      if (done) return null
      const piece = Buffer.from(value.subarray())
      this.held.push(piece)
      this.size += piece.length
    }
    const all = this.held.length === 1 ? this.held[0] : Buffer.concat(this.held)
    this.held = [all.subarray(count)]
    this.size -= count
    return all.subarray(0, count)
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

await node.handle(ECHO, async (stream) => {
  const frames = new Frames(stream)
  for (let body = await frames.next(); body !== null; body = await frames.next()) await send(stream, body)
  await stream.close()
}, { maxInboundStreams: 1000 })

await node.handle(SINK, async (stream) => {
  const frames = new Frames(stream)
  let total = 0
  for (let body = await frames.next(); body !== null; body = await frames.next()) total += body.length
  const answer = Buffer.alloc(8)
  answer.writeBigUInt64BE(BigInt(total))
  await send(stream, answer)
  await stream.close()
}, { maxInboundStreams: 1000 })

const open = async (protocol) => await node.dialProtocol(multiaddr(address), protocol)

async function ask (stream, frames) {
  await send(stream, Buffer.alloc(100))
  await frames.next()
}

async function medianMs (count, work) {
  const taken = []
  for (let turn = 0; turn < count; turn++) {
    const start = performance.now()
    await work()
    taken.push(performance.now() - start)
  }
  return taken.sort((one, other) => one - other)[count >> 1]
}

async function upload () {
  const stream = await open(SINK)
  const frames = new Frames(stream)
  const chunk = Buffer.alloc(CHUNK_BYTES)
  const start = performance.now()
  for (let sent = 0; sent < UPLOAD_BYTES; sent += CHUNK_BYTES) {
    await send(stream, chunk.subarray(0, Math.min(CHUNK_BYTES, UPLOAD_BYTES - sent)))
  }
  await stream.close()
  const total = (await frames.next()).readBigUInt64BE(0)
  if (Number(total) !== UPLOAD_BYTES) throw new Error(`${total} bytes arrived`)
  return UPLOAD_BYTES / 1000 / (performance.now() - start)
}

if (role === 'serve') {
  console.log(JSON.stringify({ addresses: node.getMultiaddrs().map(String) }))
  process.stdin.on('end', () => process.exit(0)).resume()
} else {
  const stream = await open(ECHO)
  const frames = new Frames(stream)
  const reused = await medianMs(500, async () => await ask(stream, frames))
  await stream.close()
  const fresh = await medianMs(150, async () => {
    const one = await open(ECHO)
    await ask(one, new Frames(one))
    await one.close()
  })
  const rates = []
  for (let turn = 0; turn < 3; turn++) rates.push(await upload())
  console.log(JSON.stringify({
    request_reused_ms: reused, request_new_stream_ms: fresh, upload_mb_per_s: Math.max(...rates)
  }))
  process.exit(0)
}
