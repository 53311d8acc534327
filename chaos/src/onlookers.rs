//! Onlookers: they read what is on sale, through the same bad links, and do the sums.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use proto::catalog::catalog_service_client::CatalogServiceClient;
use proto::catalog::{GetProductRequest, Product};
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tonic::transport::Endpoint;

use crate::checker::{Rule, Violation};
use crate::goods::Goods;

/// How long they rest between two looks.
const REST: Duration = Duration::from_millis(50);
/// How long they wait for an answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(2);

/// What they have seen.
#[derive(Clone, Debug, Default)]
pub struct Sights {
    /// How many answers.
    pub reads: u64,
    /// Products whose sums were wrong.
    pub violations: Vec<Violation>,
}

/// Someone who looks at all products in turn, until told to stop.
#[derive(Debug)]
pub struct Onlooker {
    sights: Arc<Mutex<Sights>>,
    looking: JoinHandle<()>,
}

impl Onlooker {
    /// Lets one look through this catalog.
    pub fn start(url: &str, goods: Arc<Goods>, stop: CancellationToken) -> anyhow::Result<Self> {
        let endpoint =
            Endpoint::from_shared(url.to_owned())?.connect_timeout(CALL_TIMEOUT).timeout(CALL_TIMEOUT);
        let catalog = CatalogServiceClient::new(endpoint.connect_lazy());
        let sights = Arc::<Mutex<Sights>>::default();
        let seen = Arc::clone(&sights);
        let looking = tokio::spawn(async move {
            for product in goods.products.iter().cycle() {
                if stop.is_cancelled() {
                    return;
                }
                let request = GetProductRequest { product_id: product.product_id.clone() };
                let answer = catalog.clone().get_product(request).await;
                if let Ok(Some(now)) = answer.map(|answer| answer.into_inner().product) {
                    let mut seen = seen.lock().unwrap_or_else(PoisonError::into_inner);
                    seen.reads += 1;
                    seen.violations.extend(wrong(product, &now));
                }
                sleep(REST).await;
            }
        });
        Ok(Self { sights, looking })
    }

    /// Waits for its end, and asks what it has seen.
    pub async fn ask(self) -> anyhow::Result<Sights> {
        self.looking.await?;
        Ok(self.sights.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
}

/// What is wrong with the counts of a product, which is neither restocked nor thrown away.
fn wrong(before: &Product, now: &Product) -> Option<Violation> {
    let Product { on_hand, available, held, sold, .. } = now;
    let adds_up = *on_hand == before.on_hand && available + held + sold == *on_hand;
    let sound = adds_up && [available, held, sold].into_iter().all(|count| *count >= 0);
    let text = format!(
        "product {}: on hand {on_hand}, available {available}, held {held}, sold {sold}",
        now.product_id
    );
    (!sound).then_some(Violation { rule: Rule::NoUnitIsMissing, booking: None, text })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_that_do_not_add_up_are_noticed() {
        let before = Product { on_hand: 10, available: 10, ..Product::default() };
        let now =
            |available, held, sold| Product { on_hand: 10, available, held, sold, ..Product::default() };
        assert_eq!(wrong(&before, &now(7, 2, 1)), None);
        assert!(wrong(&before, &now(7, 2, 0)).is_some());
        assert!(wrong(&before, &now(11, -1, 0)).is_some());
        assert!(wrong(&before, &Product { on_hand: 9, available: 9, ..Product::default() }).is_some());
    }
}
