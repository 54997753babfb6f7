// Puts one event on an event bus with the AWS SDK for JavaScript v3.
//
// Arguments: the directory of its libraries, the endpoint, the name or ARN of the bus, `Source`,
// `DetailType`, `Detail`. Credentials and region come from the environment, as everywhere with AWS
// SDKs. Prints the answer as JSON; ends with 1 if the entry failed.

import { createRequire } from "node:module";
import { join } from "node:path";

const [libraries, endpoint, EventBusName, Source, DetailType, Detail] = process.argv.slice(2);
const require = createRequire(join(libraries, "package.json"));
const { EventBridgeClient, PutEventsCommand } = require("@aws-sdk/client-eventbridge");

const client = new EventBridgeClient({ endpoint });
const entry = { EventBusName, Source, DetailType, Detail };
const answer = await client.send(new PutEventsCommand({ Entries: [entry] }));
console.log(JSON.stringify({ FailedEntryCount: answer.FailedEntryCount, Entries: answer.Entries }));
process.exitCode = answer.FailedEntryCount;
