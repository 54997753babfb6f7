// Puts one event on an event bus with the AWS SDK for Go v2.
//
// Arguments: the endpoint, the name or ARN of the bus, `Source`, `DetailType`, `Detail`. Credentials
// and region come from the environment, as everywhere with AWS SDKs. Prints the answer as JSON; ends
// with 1 if the entry failed.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

func main() {
	ctx := context.Background()
	settings, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		log.Fatal(err)
	}
	client := eventbridge.NewFromConfig(settings, func(options *eventbridge.Options) {
		options.BaseEndpoint = aws.String(os.Args[1])
	})
	answer, err := client.PutEvents(ctx, &eventbridge.PutEventsInput{
		Entries: []types.PutEventsRequestEntry{{
			EventBusName: aws.String(os.Args[2]),
			Source:       aws.String(os.Args[3]),
			DetailType:   aws.String(os.Args[4]),
			Detail:       aws.String(os.Args[5]),
		}},
	})
	if err != nil {
		log.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{
		"FailedEntryCount": answer.FailedEntryCount,
		"Entries":          answer.Entries,
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
	os.Exit(int(answer.FailedEntryCount))
}
