"""The consumer's and the producer's side with Python `jwcrypto` (see cases.py and README.md)."""

import functools
import json
import time

from jwcrypto import jwe, jwk, jws

import cases


def open_token(case):
    outer = jwe.JWE(algs=[case["management"], case["content"]])
    outer.deserialize(case["token"], key=jwk.JWK(**case["consumer"]))
    inner = jws.JWS()
    inner.allowed_algs = [case["signing"]]
    inner.deserialize(outer.payload.decode())

    kid = inner.jose_header["kid"]
    public = next(key for key in case["jwks"]["keys"] if key["kid"] == kid)
    key = jwk.JWK(**public)
    inner.verify(key)
    claims = json.loads(inner.payload)

    assert outer.jose_header["cty"] == "JWT", outer.jose_header
    assert inner.jose_header["typ"] == "secevent+jwt", inner.jose_header
    assert claims["iss"] == case["issuer"], claims["iss"]
    assert claims["aud"] == case["audience"], claims["aud"]
    assert claims["exp"] > time.time() and claims["jti"]
    return {
        "claims": inner.payload.decode(),
        "outer": outer.jose_header,
        "kid": kid,
        "thumbprint": key.thumbprint(),
    }


KINDS = {
    "ES256": {"kty": "EC", "crv": "P-256"},
    "EdDSA": {"kty": "OKP", "crv": "Ed25519"},
    "PS256": {"kty": "RSA", "size": 2048},
    "RS256": {"kty": "RSA", "size": 2048},
}


@functools.cache
def made_signer(signing):
    """The signing pair of an algorithm, made here once."""
    key = jwk.JWK.generate(use="sig", alg=signing, **KINDS[signing])
    return key, {**key.export_public(as_dict=True), "kid": key.thumbprint()}


def mint_token(case):
    if case["shared"]:
        signer, public = jwk.JWK(**case["shared"]), case["shared"]
    else:
        signer, public = made_signer(case["signing"])
    inner = jws.JWS(case["claims"])
    header = {"alg": case["signing"], "typ": "secevent+jwt", "kid": public["kid"]}
    inner.allowed_algs = [case["signing"]]
    inner.add_signature(signer, protected=json.dumps(header))

    header = {
        "alg": case["management"],
        "enc": case["content"],
        "kid": case["consumer"]["kid"],
        "cty": "JWT",
    }
    if case["compressed"]:
        header["zip"] = "DEF"
    outer = jwe.JWE(
        inner.serialize(compact=True),
        protected=json.dumps(header),
        algs=[case["management"], case["content"]],
    )
    outer.add_recipient(jwk.JWK(**case["consumer"]))
    return {"token": outer.serialize(compact=True), "signer": public}


cases.run({"open": open_token, "mint": mint_token})
