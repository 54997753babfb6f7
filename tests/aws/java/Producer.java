import java.net.URI;
import software.amazon.awssdk.services.eventbridge.EventBridgeClient;
import software.amazon.awssdk.services.eventbridge.model.PutEventsResponse;
import software.amazon.awssdk.services.eventbridge.model.PutEventsResultEntry;

/**
 * Puts one event on an event bus with the AWS SDK for Java v2.
 *
 * <p>Arguments: the endpoint, the name or ARN of the bus, {@code Source}, {@code DetailType}, {@code
 * Detail}. Credentials and region come from the environment, as everywhere with AWS SDKs. Prints the
 * answer as JSON; ends with 1 if the entry failed.
 */
public final class Producer {
    public static void main(String[] arguments) {
        URI endpoint = URI.create(arguments[0]);
        try (EventBridgeClient client = EventBridgeClient.builder().endpointOverride(endpoint).build()) {
            PutEventsResponse answer = client.putEvents(request -> request.entries(entry -> entry
                    .eventBusName(arguments[1])
                    .source(arguments[2])
                    .detailType(arguments[3])
                    .detail(arguments[4])));
            PutEventsResultEntry entry = answer.entries().get(0);
            System.out.printf(
                    "{\"FailedEntryCount\":%d,\"Entries\":[{\"EventId\":%s,\"ErrorCode\":%s}]}%n",
                    answer.failedEntryCount(), quoted(entry.eventId()), quoted(entry.errorCode()));
            System.exit(answer.failedEntryCount());
        }
    }

    /** An id or a code, neither of which holds what JSON escapes. */
    private static String quoted(String text) {
        return text == null ? "null" : "\"" + text + "\"";
    }
}
