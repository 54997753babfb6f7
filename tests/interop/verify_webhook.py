"""A receiver of Standard Webhooks with that project's library for Python.

    python verify_webhook.py DIR    verifies the request of every case in DIR

A case is one JSON file (tests/interop/README.md). For each, one line of JSON goes to standard output.
"""

import json
import pathlib
import sys

from standardwebhooks.webhooks import Webhook, WebhookVerificationError

for file in sorted(pathlib.Path(sys.argv[1]).iterdir()):
    case = json.loads(file.read_text())
    answer = {"case": case["name"], "ok": True}
    try:
        # The body is a token or JSON; only its bytes count.
        Webhook(case["secret"]).verify(case["body"], case["headers"], json_parse=False)
    except WebhookVerificationError as error:
        answer.update(ok=False, error=str(error))
    print(json.dumps(answer))
