"""A sink for trying things out: opens each delivery with `sealway open` and prints what it holds.

    python3 receiver.py PORT PRIVATE-KEY-FILE ISSUER AUDIENCE

What it cannot open it refuses with 400, and says why on standard error.
"""
import json, os, shutil, subprocess, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

if len(sys.argv) != 5:
    sys.exit(__doc__)
port, key, issuer, audience = sys.argv[1:]
if not os.access(key, os.R_OK):
    sys.exit("receiver: cannot read the private key " + key)
if not shutil.which("sealway"):
    sys.exit("receiver: `sealway` is not on the PATH; it opens the tokens")
OPEN = ["sealway", "open", "--key", key, "--jwks", issuer + "/.well-known/jwks.json",
        "--issuer", issuer, "--audience", audience]


class Digits(str):  # a number with a point or an exponent, as it came: a float would round it
    __repr__ = str.__str__


class Sink(BaseHTTPRequestHandler):
    def do_POST(self):
        token = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not token:
            return self.refuse("there is no token in the body, or no Content-Length")
        opened = subprocess.run(OPEN, input=token, capture_output=True)
        if opened.returncode != 0:
            return self.refuse(opened.stderr.decode().strip())
        claims = json.loads(opened.stdout, parse_float=Digits)
        event = next(iter(claims["events"].values()))
        if event["type"] == "sealway.subscription.challenge":
            print("challenge answered", flush=True)
            return self.answer(200, event["data"])  # {"challenge": "<nonce>"} proves address and key
        seen = "replay " + claims["rpl"] if "rpl" in claims else "number %d" % claims["seq"]
        with open(os.path.join(os.path.dirname(key), "last.jwt"), "wb") as last:
            last.write(token)
        print(seen, event["id"], event["type"], event["data"], flush=True)
        self.answer(202, {})

    def refuse(self, why):
        print("refused:", why, file=sys.stderr, flush=True)
        self.answer(400, {"error": why})

    def answer(self, status, body):
        self.send_response(status)
        self.end_headers()
        self.wfile.write(json.dumps(body).encode())

    def log_message(self, *_):
        pass


try:
    sink = ThreadingHTTPServer(("127.0.0.1", int(port)), Sink)
except (OSError, OverflowError, ValueError) as error:
    sys.exit("receiver: cannot listen on port %s: %s" % (port, error))
print("listening on 127.0.0.1:" + port, file=sys.stderr, flush=True)
sink.serve_forever()
