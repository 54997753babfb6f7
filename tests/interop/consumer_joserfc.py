"""The consumer's and the producer's side with Python `joserfc` (see cases.py and README.md)."""

import functools
import json

from joserfc import jwe, jwk, jws, jwt

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
    key = jwk.import_key(public)
    opened = jws.deserialize_compact(inner.encode(), key, registry=rules)
    # Integers are exact, and no number of the registered claims is anything else.
    claims = json.loads(opened.payload)

    assert opened.headers()["typ"] == "secevent+jwt", opened.headers()
    assert outer.headers()["cty"] == "JWT", outer.headers()
    jwt.JWTClaimsRegistry(
        iss={"essential": True, "value": case["issuer"]},
        aud={"essential": True, "value": case["audience"]},
        iat={"essential": True},
        jti={"essential": True},
        events={"essential": True},
    ).validate(claims)
    return {
        "claims": opened.payload.decode(),
        "outer": outer.headers(),
        "kid": kid,
        "thumbprint": key.thumbprint(),
    }


KINDS = {"ES256": ("EC", "P-256"), "EdDSA": ("OKP", "Ed25519"), "PS256": ("RSA", 2048), "RS256": ("RSA", 2048)}


@functools.cache
def made_signer(signing):
    """The signing pair of an algorithm, made here once."""
    kind, size = KINDS[signing]
    key = jwk.generate_key(kind, size, {"use": "sig", "alg": signing}, auto_kid=True)
    return key, key.as_dict(private=False)


def mint_token(case):
    if case["shared"]:
        signer, public = jwk.import_key(case["shared"]), case["shared"]
    else:
        signer, public = made_signer(case["signing"])
    header = {"alg": case["signing"], "typ": "secevent+jwt", "kid": public["kid"]}
    rules = signature_rules(case["signing"])
    inner = jws.serialize_compact(header, case["claims"], signer, registry=rules)

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
    token = jwe.encrypt_compact(header, inner, consumer, registry=rules)
    return {"token": token, "signer": public}


cases.run({"open": open_token, "mint": mint_token})
