"""A client of custom event buses (EventBridgeV2): puts one event and prints the error that it gets.

    python custom_bus_client.py ENDPOINT

Prints one line of JSON: `code`, `message` and `status` of the error.
"""

import json
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

BUS = "arn:aws:events:us-east-1:123456789012:event-busv2/orders/abcdefghijklmnopqrstuvwxy"
ENTRY = {"Source": "order-service", "DetailType": "OrderCreated", "Detail": "{}"}

client = boto3.client(
    "eventbridgev2",
    endpoint_url=sys.argv[1],
    region_name="us-east-1",
    aws_access_key_id="AKIATESTTESTTESTTEST",
    aws_secret_access_key="any",
    config=Config(retries={"total_max_attempts": 1}),
)
try:
    print(json.dumps(client.put_events(EventBusArn=BUS, Entries=[ENTRY]), default=str))
except ClientError as error:
    answer = error.response
    print(json.dumps({
        "code": answer["Error"]["Code"],
        "message": answer["Error"]["Message"],
        "status": answer["ResponseMetadata"]["HTTPStatusCode"],
        "exception": type(error).__name__,
    }))
