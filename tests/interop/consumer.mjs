// The consumer's and the producer's side with node `jose`.
//
//   node consumer.mjs open DIR    opens the token of every case in DIR
//   node consumer.mjs mint DIR    mints a token for every case in DIR
//
// A case is one JSON file (tests/interop/README.md). For each, one line of JSON goes to standard
// output; the test that started the program compares.
import { readFileSync, readdirSync } from 'node:fs'
import { createRequire } from 'node:module'
import { join } from 'node:path'

const [command, directory, harness] = process.argv.slice(2)
// The library is installed outside of this directory.
const {
  CompactEncrypt, CompactSign, base64url, calculateJwkThumbprint, compactDecrypt,
  decodeProtectedHeader, exportJWK, generateKeyPair, importJWK, jwtVerify,
} = await import(createRequire(join(harness, 'package.json')).resolve('jose'))

// What the gateway inflates, and therefore what a consumer need inflate.
const MOST_INFLATED = 256_000

async function open({ token, consumer, jwks, issuer, audience, signing, management, content }) {
  const { plaintext, protectedHeader } = await compactDecrypt(
    token,
    await importJWK(consumer, management),
    {
      keyManagementAlgorithms: [management],
      contentEncryptionAlgorithms: [content],
      maxDecompressedLength: MOST_INFLATED,
    },
  )
  const inner = new TextDecoder().decode(plaintext)
  const { kid } = decodeProtectedHeader(inner)
  const key = jwks.keys.find((candidate) => candidate.kid === kid)
  await jwtVerify(inner, await importJWK(key, signing), {
    algorithms: [signing],
    typ: 'secevent+jwt',
    issuer,
    audience,
    requiredClaims: ['iat', 'jti', 'events'],
  })
  return {
    // The payload that jwtVerify gives has rounded numbers; what it has verified has not.
    claims: new TextDecoder().decode(base64url.decode(inner.split('.')[1])),
    outer: protectedHeader,
    kid,
    thumbprint: await calculateJwkThumbprint(key),
  }
}

// The signing pair of each algorithm, made here once.
const signers = new Map()

async function signerFor(signing, shared) {
  if (shared) return { key: await importJWK(shared, signing), public: shared }
  if (!signers.has(signing)) {
    const { privateKey, publicKey } = await generateKeyPair(signing)
    const jwk = await exportJWK(publicKey)
    const kid = await calculateJwkThumbprint(jwk)
    signers.set(signing, { key: privateKey, public: { ...jwk, kid, use: 'sig', alg: signing } })
  }
  return signers.get(signing)
}

async function mint({ consumer, shared, claims, signing, management, content, compressed }) {
  const signer = await signerFor(signing, shared)
  const inner = await new CompactSign(new TextEncoder().encode(claims))
    .setProtectedHeader({ alg: signing, typ: 'secevent+jwt', kid: signer.public.kid })
    .sign(signer.key)
  const header = { alg: management, enc: content, kid: consumer.kid, cty: 'JWT' }
  const token = await new CompactEncrypt(new TextEncoder().encode(inner))
    .setProtectedHeader(compressed ? { ...header, zip: 'DEF' } : header)
    .encrypt(await importJWK(consumer, management))
  return { token, signer: signer.public }
}

const work = { open, mint }[command]
for (const file of readdirSync(directory).sort()) {
  const item = JSON.parse(readFileSync(join(directory, file), 'utf8'))
  let outcome
  try {
    outcome = { ok: true, ...(await work(item)) }
  } catch (error) {
    outcome = { ok: false, error: `${error.name}: ${error.message}` }
  }
  console.log(JSON.stringify({ case: item.name, ...outcome }))
}
