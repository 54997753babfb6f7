//! Three orders walk through, one token is opened step by step, and the range is replayed.

use std::time::Duration;

use anyhow::{Context as _, anyhow};
use serde_json::Value;

use crate::cli::demo::{DeliveredToken, DemoServices, Narrator, Stage};
use crate::seal::inspect;

/// The orders: id, amount, and how each must end.
pub const ORDERS: [(u64, u64, &str); 3] =
    [(101, 100, "OrderCompleted"), (102, 600, "OrderCancelled"), (103, 500, "OrderCompleted")];
/// Events of one order, each of which the audit and the notification service receive.
pub const EVENTS_PER_ORDER: usize = 3;
/// How long an order may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Lets the three orders through.
pub async fn orders(services: &DemoServices, narrator: &Narrator) -> anyhow::Result<()> {
    for (index, (id, amount, _)) in ORDERS.iter().enumerate() {
        narrator.chapter(&format!("Order {id} for {amount}"));
        services.orders.take(*id, *amount).await?;
        let count = (index + 1) * EVENTS_PER_ORDER;
        let arrived = async {
            services.audit.wait_for(count).await;
            services.notification_service.wait_for(count).await;
            services.order_service.wait_for(index + 1).await;
            services.payment_service.wait_for(index + 1).await;
        };
        tokio::time::timeout(PATIENCE, arrived)
            .await
            .map_err(|_| anyhow!("order {id} did not end within {PATIENCE:?}"))?;
    }
    Ok(())
}

/// Shows what someone on the way sees of the payment service's first event.
pub fn eavesdrop(services: &DemoServices, narrator: &Narrator) -> anyhow::Result<DeliveredToken> {
    let delivered = services.payment_service.delivered();
    let first = delivered.into_iter().next().context("the payment service received nothing")?;
    narrator.chapter("What an eavesdropper sees of Order.Created on its way to payment-service");
    narrator.say("POST /events");
    for (name, value) in &first.headers {
        let shown = ["ce-", "webhook-", "content-type", "idempotency"];
        if shown.iter().any(|prefix| name.as_str().starts_with(prefix)) {
            narrator.say(&format!("{name}: {}", value.to_str().unwrap_or("…")));
        }
    }
    let beginning: String = first.token.chars().take(96).collect();
    narrator.say(&format!("\n{beginning}… ({} characters)", first.token.len()));
    Ok(first)
}

/// Opens a token step by step, with the key of its consumer and with that of another.
pub fn open_step_by_step(
    services: &DemoServices,
    delivered: &DeliveredToken,
    narrator: &Narrator,
) -> anyhow::Result<()> {
    let token = &delivered.token;
    narrator.chapter("Opening that token");
    let lengths: Vec<String> = token.split('.').map(|part| part.len().to_string()).collect();
    narrator.say(&format!("1. five parts in base64url, of {} characters", lengths.join(", ")));
    narrator.say(&format!("2. the outer header, which anyone can read: {}", inspect(token)?));
    narrator.say("3. payment-service agrees on a key with its own X25519 key and decrypts");
    narrator.say("4. inside is a signed token; its key is in the gateway's /.well-known/jwks.json");
    narrator.say("5. signature, issuer, audience and times are right; the claims are:");
    let claims = serde_json::to_string_pretty(delivered.opened.claims())?;
    narrator.say(&indent(&claims));
    let header_hides = !token.contains("amount") && !inspect(token)?.to_string().contains("amount");
    narrator.claim("the data is nowhere in the clear", header_hides);
    narrator.claim(
        "payment-service opens it with its own key",
        services.payment_service.open(token).is_ok(),
    );
    narrator.claim(
        "notification-service, with its key, cannot",
        services.notification_service.open(token).is_err(),
    );
    let forged = forge(token);
    narrator.claim(
        "a single changed character, and nobody can",
        services.payment_service.open(&forged).is_err(),
    );
    Ok(())
}

/// Changes one character in the middle of the ciphertext.
fn forge(token: &str) -> String {
    let middle = token.len() / 2;
    let change = |(index, c): (usize, char)| match c {
        'A' if index == middle => 'B',
        _ if index == middle => 'A',
        c => c,
    };
    token.chars().enumerate().map(change).collect()
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("   {line}")).collect::<Vec<_>>().join("\n")
}

/// Replays everything to the audit.
pub async fn replay(
    stage: &Stage,
    services: &DemoServices,
    narrator: &Narrator,
) -> anyhow::Result<()> {
    let live = services.audit.delivered();
    let id = |delivered: Option<&DeliveredToken>| {
        delivered.map(|one| one.opened.id().to_owned()).context("the audit received nothing")
    };
    let (from, to) = (id(live.first())?, id(live.last())?);
    narrator.chapter("Replay by ULID range");
    narrator
        .say(&format!("POST /subscriptions/audit/replays {{\"from\":\"{from}\",\"to\":\"{to}\"}}"));
    let ended = stage.replay("audit", &from, &to).await?;
    services.audit.wait_for(2 * live.len()).await;
    let counts = ended.get("counts").unwrap_or(&Value::Null);
    narrator
        .say(&format!("the replay is {}: {counts}", ended.get("state").unwrap_or(&Value::Null)));
    Ok(())
}
