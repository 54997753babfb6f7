"""Deploys a CloudFormation template with boto3, as `aws cloudformation deploy` does.

Arguments: the endpoint, the name of the stack, the file of the template, and parameters as
`Name=Value`. Credentials and region come from the environment. Prints the outputs of the stack as
JSON; ends with 1 if the stack was not made.
"""

import json
import sys

import boto3

endpoint, stack, file, *parameters = sys.argv[1:]
client = boto3.client("cloudformation", endpoint_url=endpoint)
with open(file, encoding="utf-8") as template:
    client.create_stack(
        StackName=stack,
        TemplateBody=template.read(),
        Parameters=[
            {"ParameterKey": name, "ParameterValue": value}
            for name, value in (parameter.split("=", 1) for parameter in parameters)
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
made = client.describe_stacks(StackName=stack)["Stacks"][0]
if made["StackStatus"] != "CREATE_COMPLETE":
    sys.exit(f"{made['StackStatus']}: {made.get('StackStatusReason', '')}")
print(json.dumps({one["OutputKey"]: one["OutputValue"] for one in made.get("Outputs", [])}))
