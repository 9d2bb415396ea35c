/**
 * Waits until the nodes at the given ports of this machine are ready, puts a key through the first and reads it through
 * each. Plain JavaScript on Node alone, for places without the project's packages.
 */
import assert from "node:assert/strict"

const urls = process.argv.slice(2).map((port) => `http://127.0.0.1:${port}`)
const deadline = Date.now() + 60_000

const isReady = (url) => fetch(`${url}/readyz`).then(({ ok }) => ok, () => false)

for (const url of urls) {
  while (!await isReady(url)) {
    assert(Date.now() < deadline, `${url} was not ready within a minute`)
    await new Promise((resolve) => setTimeout(resolve, 100))
  }
}
const key = `smoke/${process.pid}`
const put = await fetch(`${urls[0]}/kv/${key}`, { method: "PUT", body: "held by three" })
assert.equal(put.status, 201)
for (const url of urls) {
  const get = await fetch(`${url}/kv/${key}`)
  assert.equal(get.status, 200, url)
  assert.equal(await get.text(), "held by three", url)
}
console.log(`${urls.length} nodes are ready and hold ${key}`)
