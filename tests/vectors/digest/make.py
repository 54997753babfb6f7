"""Makes events.json: digests of events in both forms, by Python's own libraries.

    python3 make.py > events.json

What is digested is written out by hand in the cases that a library could get wrong, and with the
standard library's `json` in the others, whose members are in order and whose texts are plain.
"""
import base64
import hashlib
import hmac
import json

SALT = bytes(range(0x10, 0x20))
OTHER = bytes([0xff] * 16)


def ordered(event):
    """The canonical form of an event with plain texts and small numbers."""
    return json.dumps(event, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def case(comment, event, digested, slt=None, pub_ver=None):
    data = digested.encode()
    if slt is None:
        digest = hashlib.sha256(data)
    else:
        digest = hmac.new(slt, data, hashlib.sha256)
    text = slt and base64.urlsafe_b64encode(slt).rstrip(b"=").decode()
    return {"comment": comment, "event": event, "slt": text, "pub_ver": pub_ver,
            "digested": digested, "digest": digest.hexdigest()}


PLAIN = {
    "specversion": "1.0", "id": "01KAKR4ABCDEFGHJKMNPQRSTV2", "source": "/orders",
    "type": "Order.Created", "subject": "Order.Created", "time": "2026-11-21T20:17:00Z",
    "datacontenttype": "application/json",
    "dataschema": "https://events.example.com/schemas/orders/Order.Created/1.0.0",
    "idempotencykey": "9d2a1c1e0a3b4c5d6e7f809122334455",
    "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    "tenant": "eu", "attempt": 3, "urgent": True, "abroad": False,
    "data": {"orderId": 102, "amount": 600},
}
ENVELOPE = '"id":"01KAKR4ABCDEFGHJKMNPQRSTV2","source":"/orders","specversion":"1.0","type":"T"'
HARD = (
    '{"data":{"\\r":"Carriage Return","1":"One","big":1152921504606846976,"digits":'
    '0.1234567890123456789012,"exp":1e+21,"small":1e-7,"\u0080":"Control\u007f","ö":'
    '"\\u001f\\b\\t\\n\\f\\"\\\\/","€":"Euro","😀":"Emoji","\ufb33":"Dalet"},' + ENVELOPE + '}'
)
HARD_AS_SENT = (
    '{"type":"T","specversion":"1.0","data":{"\ufb33":"Dalet","😀":"Emoji","€":"Euro","big":'
    '1152921504606846976,"digits":0.1234567890123456789012,"exp":1e+21,"small":1e-7,"ö":'
    '"\\u001F\\b\\t\\n\\f\\"\\\\\\/","\\u0080":"Control\u007f","1":"One","\\r":"Carriage Return"},'
    '"source":"\\/orders","id":"01KAKR4ABCDEFGHJKMNPQRSTV2"}'
)
CONTENT = {name: PLAIN[name] for name in ("data", "source", "subject", "type")}


def salted(canonical, pub_ver):
    version = "" if pub_ver is None else f',"pub_ver":{json.dumps(pub_ver, ensure_ascii=False)}'
    return f'{{"event":{canonical}{version}}}'


CASES = [
    case("form 1: four members and nothing else", json.dumps(PLAIN), ordered(CONTENT)),
    case("form 2: every attribute, extension and the data", json.dumps(PLAIN),
         salted(ordered(PLAIN), "1.0.0"), SALT, "1.0.0"),
    case("the same under another salt", json.dumps(PLAIN), salted(ordered(PLAIN), "1.0.0"), OTHER, "1.0.0"),
    case("the same with another version of the publication", json.dumps(PLAIN),
         salted(ordered(PLAIN), "1.0.1"), SALT, "1.0.1"),
    case("without a version", json.dumps(PLAIN), salted(ordered(PLAIN), None), SALT),
    case("a version that has to be escaped", json.dumps(PLAIN), salted(ordered(PLAIN), 'é "1"'), SALT, 'é "1"'),
    case("order of members, escapes and digits of numbers, without a subject", HARD_AS_SENT,
         salted(HARD, "2"), SALT, "2"),
    case("the same of form 1", HARD_AS_SENT,
         HARD.split(',"id"')[0] + ',"source":"/orders","type":"T"}'),
]
print(json.dumps(CASES, indent=1, ensure_ascii=False))
