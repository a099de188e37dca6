// What js-libp2p 3 uses of Node.js 22, for Node.js 20.
Promise.withResolvers ??= function () {
  let resolve, reject
  const promise = new this((yes, no) => { resolve = yes; reject = no })
  return { promise, resolve, reject }
}
Set.prototype.difference ??= function (other) { return new Set([...this].filter((each) => !other.has(each))) }
Set.prototype.intersection ??= function (other) { return new Set([...this].filter((each) => other.has(each))) }
Set.prototype.union ??= function (other) { return new Set([...this, ...other]) }
Array.fromAsync ??= async (source) => { const all = []; for await (const each of source) all.push(each); return all }
globalThis.WebSocket ??= (await import('ws')).WebSocket
