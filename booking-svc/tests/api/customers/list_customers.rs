//! ListCustomers.

use proto::booking::v1::{Customer, ListCustomersRequest};
use test_harness::errors::{describe, fields};
use tonic::Code;

use super::{Customers, ann, client_of, get, new};
use crate::stage::Stage;

const INSERT: &str = "
    INSERT INTO booking.customers
    SELECT gen_random_uuid(), 1, 'c' || n || '@example.org', '', '', '', now(), now()
    FROM generate_series(1, 2499) AS n";

/// All pages of this size, of which there may not be more than that.
async fn all(client: &mut Customers, page_size: i32, pages_max: usize) -> Vec<Customer> {
    let mut found = Vec::new();
    let mut page_token = String::new();
    for _ in 0..pages_max {
        let request = ListCustomersRequest {
            page_size,
            page_token,
        };
        let page = client.list_customers(request).await;
        let page = page.unwrap_or_else(|status| panic!("{}", describe(&status)));
        let page = page.into_inner();
        found.extend(page.customers);
        page_token = page.next_page_token;
        if page_token.is_empty() {
            return found;
        }
    }
    panic!("more than {pages_max} pages");
}

#[tokio::test]
async fn pages_of_any_size_join_up() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    assert!(all(&mut client, 0, 1).await.is_empty());
    let made = new(&mut client, ann()).await;
    assert_eq!(all(&mut client, 1, 1).await, vec![made.clone()]);

    stage.run(INSERT).await;
    for (page_size, pages_max) in [(0, 50), (333, 8), (1_000, 3), (1_001, 3), (i32::MAX, 3)] {
        let found = all(&mut client, page_size, pages_max).await;
        assert_eq!(found.len(), 2_500, "{page_size}");
        assert!(found.is_sorted_by(|a, b| a.customer_id < b.customer_id));
        assert!(found.contains(&made));
    }
    let one = &all(&mut client, 1_000, 3).await[7];
    assert_eq!(get(&mut client, &one.customer_id).await, *one);
    stage.assert_sound().await;
}

#[tokio::test]
async fn a_negative_size_or_an_invalid_token_is_refused() {
    let mut stage = Stage::start().await;
    let mut client = client_of(&stage.system.booking);
    let request = ListCustomersRequest {
        page_size: -1,
        ..Default::default()
    };
    let call = client.list_customers(request);
    let status = stage
        .refused(call, Code::InvalidArgument, "INVALID_FIELD")
        .await;
    assert_eq!(fields(&status), ["page_size"]);
    for token in ["x", "AAAA", "🎫"] {
        let request = ListCustomersRequest {
            page_token: token.to_owned(),
            ..Default::default()
        };
        let call = client.list_customers(request);
        stage
            .refused(call, Code::InvalidArgument, "INVALID_PAGE_TOKEN")
            .await;
    }
    stage.assert_sound().await;
}
