"""Plays the provider: `send.py URL SECRET ORDER [EVENT-ID]` sends a signed payment. Needs nothing but Python."""

import hashlib
import hmac
import json
import sys
import time
import urllib.error
import urllib.request

url, secret, order = sys.argv[1:4]
number = sys.argv[4] if len(sys.argv) > 4 else f"evt_{time.time_ns()}"
paid = {"amount": 1999, "currency": "eur", "metadata": {"order": order}}
body = json.dumps({"id": number, "type": "payment_intent.succeeded", "data": {"object": paid}}).encode()
now = str(int(time.time()))
signature = hmac.new(secret.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()
headers = {"content-type": "application/json", "stripe-signature": f"t={now},v1={signature}"}
try:
    with urllib.request.urlopen(urllib.request.Request(url, data=body, headers=headers)) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as refused:
    sys.exit(f"{refused.code} {refused.read().decode()}")
