"""Puts one event on an event bus with boto3.

Arguments: the endpoint, the name or ARN of the bus, `Source`, `DetailType`, `Detail`.
Credentials and region come from the environment, as everywhere with AWS SDKs.
Prints the answer as JSON; ends with 1 if the entry failed.
"""

import json
import sys

import boto3

endpoint, bus, source, detail_type, detail = sys.argv[1:]
client = boto3.client("events", endpoint_url=endpoint)
answer = client.put_events(
    Entries=[
        {
            "EventBusName": bus,
            "Source": source,
            "DetailType": detail_type,
            "Detail": detail,
        }
    ]
)
print(json.dumps({"FailedEntryCount": answer["FailedEntryCount"], "Entries": answer["Entries"]}))
sys.exit(answer["FailedEntryCount"])
