//! Listing overdue holds, for the sweep.

use proto::catalog::{ListOverdueHoldsRequest, ListOverdueHoldsResponse};
use sqlx::PgPool;

use crate::app::{App, units};

async fn list(app: &App, limit: i32, page_token: &str) -> ListOverdueHoldsResponse {
    let request = ListOverdueHoldsRequest { limit, page_token: page_token.to_owned() };
    app.holds.clone().list_overdue_holds(request).await.unwrap().into_inner()
}

/// Nothing becomes of any of them meanwhile, and several are overdue since the same moment.
#[sqlx::test(migrator = "catalog::MIGRATOR")]
async fn every_overdue_hold_is_on_one_page_and_the_most_overdue_are_first(pool: PgPool) {
    let mut app = App::start(&pool).await;
    let product = app.product(10).await;
    let mut keys = Vec::new();
    for hours in [3, 2, 2, 2, 1, -1] {
        let key = app.hold(units(&product.product_id, 1)).await.unwrap();
        sqlx::query("update holds set review_at = date_trunc('hour', now()) - $2 * interval '1 hour' where booking_id = $1::uuid")
            .bind(&key.booking_id)
            .bind(f64::from(hours))
            .execute(&pool)
            .await
            .unwrap();
        keys.push(key);
    }
    keys.pop(); // not overdue
    keys[1..4].sort_by(|a, b| a.booking_id.cmp(&b.booking_id));

    let whole = list(&app, 0, "").await;
    assert_eq!((&whole.keys, whole.next_page_token.as_str()), (&keys, ""));
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let page = list(&app, 2, &page_token).await;
        listed.extend(page.keys);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            break;
        }
    }
    assert_eq!(listed, keys);
    app.stop().await;
}
