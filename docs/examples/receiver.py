"""A sink for trying things out: opens each delivery with `sealway open` and prints what it holds.

    python3 receiver.py PORT PRIVATE-KEY-FILE ISSUER AUDIENCE
"""
import json, os, subprocess, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

port, key, issuer, audience = sys.argv[1:]
OPEN = ["sealway", "open", "--key", key, "--jwks", issuer + "/.well-known/jwks.json",
        "--issuer", issuer, "--audience", audience]


class Digits(str):  # a number with a point or an exponent, as it came: a float would round it
    __repr__ = str.__str__


class Sink(BaseHTTPRequestHandler):
    def do_POST(self):
        token = self.rfile.read(int(self.headers["Content-Length"]))
        opened = subprocess.run(OPEN, input=token, capture_output=True)
        if opened.returncode != 0:
            return self.answer(400, {"error": opened.stderr.decode().strip()})
        claims = json.loads(opened.stdout, parse_float=Digits)
        event = next(iter(claims["events"].values()))
        if event["type"] == "sealway.subscription.challenge":
            return self.answer(200, event["data"])  # {"challenge": "<nonce>"} proves address and key
        seen = "replay " + claims["rpl"] if "rpl" in claims else "number %d" % claims["seq"]
        open(os.path.join(os.path.dirname(key), "last.jwt"), "wb").write(token)
        print(seen, event["id"], event["type"], event["data"], flush=True)
        self.answer(202, {})

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


ThreadingHTTPServer(("127.0.0.1", int(port)), Sink).serve_forever()
