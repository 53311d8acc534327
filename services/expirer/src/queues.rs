//! Looks at the queues from time to time, for the metrics alone.

use std::time::Duration;

use amqp::Broker;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::metrics::QueueDepths;

/// How often: each time RabbitMQ is asked about every queue.
const INTERVAL: Duration = Duration::from_secs(10);

/// Looks until `stop`. While RabbitMQ is away nothing is known.
pub(crate) async fn watch(broker: Broker, depths: QueueDepths, stop: CancellationToken) {
    depths.show();
    let mut queues = broker.depths();
    loop {
        let look = async {
            tokio::select! {
                biased;
                () = broker.up() => {}
                () = std::future::ready(()) => {
                    depths.set(Vec::new());
                    broker.up().await;
                }
            }
            queues.look().await
        };
        let looked = tokio::select! {
            looked = look => looked,
            () = stop.cancelled() => return,
        };
        depths.set(looked.unwrap_or_else(|error| {
            tracing::debug!(%error, "the queues cannot be looked at");
            Vec::new()
        }));
        tokio::select! {
            () = sleep(INTERVAL) => {}
            () = stop.cancelled() => return,
        }
    }
}
