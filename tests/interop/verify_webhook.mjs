// A receiver of Standard Webhooks with that project's library for JavaScript.
//
//   node verify_webhook.mjs DIR HARNESS    verifies the request of every case in DIR
//
// A case is one JSON file (tests/interop/README.md). For each, one line of JSON goes to standard
// output.
import { readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [directory, harness] = process.argv.slice(2)
// The library is installed outside of this directory.
const { Webhook } = createRequire(join(harness, 'package.json'))('standardwebhooks')

for (const file of readdirSync(directory).sort()) {
  const { name, secret, headers, body } = JSON.parse(readFileSync(join(directory, file), 'utf8'))
  const answer = { case: name, ok: true }
  try {
    // The body is a token or JSON; only its bytes count.
    new Webhook(secret).verify(body, headers, { jsonParse: false })
  } catch (error) {
    Object.assign(answer, { ok: false, error: error.message })
  }
  console.log(JSON.stringify(answer))
}
