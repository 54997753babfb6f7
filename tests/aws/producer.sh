#!/bin/sh
# Puts one event on an event bus with the AWS CLI.
#
# Arguments: the program `aws`, the endpoint, the name or ARN of the bus, `Source`, `DetailType`,
# `Detail`. Credentials and region come from the environment, as everywhere with AWS SDKs.
# Prints the answer as JSON; ends with 1 if the entry failed.
set -eu

aws=$1 endpoint=$2 bus=$3 source=$4 detail_type=$5 detail=$6
# The entry holds text in text: printf would need to know JSON, so Python, which the CLI needs, writes it.
entries=$("$(dirname "$aws")/python" -c '
import json, sys
names = ["EventBusName", "Source", "DetailType", "Detail"]
print(json.dumps([dict(zip(names, sys.argv[1:]))]))' "$bus" "$source" "$detail_type" "$detail")
answer=$("$aws" events put-events --endpoint-url "$endpoint" --entries "$entries" --output json)
printf '%s\n' "$answer"
printf '%s' "$answer" | grep -q '"FailedEntryCount": 0'
