//! ListCustomers.

use proto::booking::v1 as pb;
use service_kit::fingerprint::fingerprint;
use service_kit::{ApiError, paging};

use super::Customers;

impl Customers {
    pub(super) async fn handle_list_customers(
        &self,
        request: pb::ListCustomersRequest,
    ) -> Result<pb::ListCustomersResponse, ApiError> {
        let page_size = paging::page_size(request.page_size)?;
        let query = fingerprint("list_customers", []);
        let after = paging::cursor(query, &request.page_token, |text| text.parse().ok())?;

        let page = self.bookings.store.customers(after, page_size).await?;

        let next_page_token = page
            .next
            .map(|id| paging::page_token(query, &id.to_string()));
        Ok(pb::ListCustomersResponse {
            customers: page.items.into_iter().map(Into::into).collect(),
            next_page_token: next_page_token.unwrap_or_default(),
        })
    }
}
