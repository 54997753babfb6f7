"""The consumer's and the producer's side with Python `jwcrypto` (see cases.py and README.md)."""

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
        "claims": claims,
        "outer": outer.jose_header,
        "kid": kid,
        "thumbprint": key.thumbprint(),
    }


def mint_token(case):
    inner = jws.JWS(json.dumps(case["claims"]))
    header = {"alg": case["signing"], "typ": "secevent+jwt", "kid": case["signer"]["kid"]}
    inner.allowed_algs = [case["signing"]]
    inner.add_signature(jwk.JWK(**case["signer"]), protected=json.dumps(header))

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
    return {"token": outer.serialize(compact=True)}


cases.run({"open": open_token, "mint": mint_token})
