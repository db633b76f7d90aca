//! The order and the bounds of a shutdown.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use levada_service::shutdown::{CancellationToken, Drain};

#[tokio::test]
async fn steps_end_in_order_and_a_late_one_does_not_hold_the_rest() {
    let order = Arc::new(Mutex::new(Vec::new()));
    let note = |name: &'static str, token: &CancellationToken| {
        let (order, token) = (order.clone(), token.clone());
        async move {
            token.cancelled().await;
            order.lock().unwrap().push(name);
        }
    };
    let tokens: Vec<CancellationToken> = (0..3).map(|_| CancellationToken::new()).collect();
    let late = Drain::new()
        .step("faces", Duration::from_secs(60), tokens[0].clone(), note("faces", &tokens[0]))
        .step("broker", Duration::ZERO, tokens[1].clone(), std::future::pending())
        .step("controller", Duration::from_secs(60), tokens[2].clone(), note("controller", &tokens[2]))
        .run()
        .await;
    assert_eq!(late, ["broker"]);
    assert_eq!(*order.lock().unwrap(), ["faces", "controller"]);
    assert!(tokens.iter().all(CancellationToken::is_cancelled));
}
