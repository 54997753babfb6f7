"""The consumer's and the producer's side with Python `joserfc` (see cases.py and README.md)."""

from joserfc import jwe, jwk, jws, jwt
from joserfc.jwk import thumbprint

import cases


def signature_rules(signing):
    rules = jws.JWSRegistry(algorithms=[signing])
    rules.max_payload_length = 400_000
    return rules


def encryption_rules(management, content):
    rules = jwe.JWERegistry(algorithms=[management, content, "DEF"])
    rules.max_ciphertext_length = 400_000
    return rules


def open_token(case):
    mine = jwk.import_key(case["consumer"])
    rules = encryption_rules(case["management"], case["content"])
    outer = jwe.decrypt_compact(case["token"], mine, registry=rules)
    inner = outer.plaintext.decode()

    kid = jws.extract_compact(inner.encode()).headers()["kid"]
    public = next(key for key in case["jwks"]["keys"] if key["kid"] == kid)
    rules = signature_rules(case["signing"])
    opened = jwt.decode(inner, jwk.import_key(public), registry=rules)

    assert opened.header["typ"] == "secevent+jwt", opened.header
    assert outer.headers()["cty"] == "JWT", outer.headers()
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": case["issuer"]},
        aud={"essential": True, "value": case["audience"]},
        iat={"essential": True},
        jti={"essential": True},
        events={"essential": True},
    ).validate(opened.claims)
    return {
        "claims": opened.claims,
        "outer": outer.headers(),
        "kid": kid,
        "thumbprint": thumbprint(public),
    }


def mint_token(case):
    header = {"alg": case["signing"], "typ": "secevent+jwt", "kid": case["signer"]["kid"]}
    signer = jwk.import_key(case["signer"])
    inner = jwt.encode(header, case["claims"], signer, registry=signature_rules(case["signing"]))

    header = {
        "alg": case["management"],
        "enc": case["content"],
        "kid": case["consumer"]["kid"],
        "cty": "JWT",
    }
    if case["compressed"]:
        header["zip"] = "DEF"
    rules = encryption_rules(case["management"], case["content"])
    consumer = jwk.import_key(case["consumer"])
    return {"token": jwe.encrypt_compact(header, inner, consumer, registry=rules)}


cases.run({"open": open_token, "mint": mint_token})
