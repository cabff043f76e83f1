//! CustomerService.

mod create_customer;
mod erase_customer;
mod export_customer;
mod fields;
mod get_customer;
mod list_customers;
pub(super) mod update_customer;

use proto::booking::v1 as pb;
use proto::booking::v1::customer_service_server::CustomerService;
use service_kit::proto_convert;
use tonic::{Request, Response, Status};

use super::Bookings;
use crate::domain::CustomerRecord;

/// The service.
#[derive(Debug, Clone)]
pub struct Customers {
    /// Their bookings, and where all of them are.
    pub bookings: Bookings,
}

#[tonic::async_trait]
impl CustomerService for Customers {
    async fn create_customer(
        &self,
        request: Request<pb::CreateCustomerRequest>,
    ) -> Result<Response<pb::CreateCustomerResponse>, Status> {
        Ok(Response::new(self.handle_create_customer(request).await?))
    }

    async fn get_customer(
        &self,
        request: Request<pb::GetCustomerRequest>,
    ) -> Result<Response<pb::GetCustomerResponse>, Status> {
        Ok(Response::new(
            self.handle_get_customer(request.into_inner()).await?,
        ))
    }

    async fn list_customers(
        &self,
        request: Request<pb::ListCustomersRequest>,
    ) -> Result<Response<pb::ListCustomersResponse>, Status> {
        Ok(Response::new(
            self.handle_list_customers(request.into_inner()).await?,
        ))
    }

    async fn update_customer(
        &self,
        request: Request<pb::UpdateCustomerRequest>,
    ) -> Result<Response<pb::UpdateCustomerResponse>, Status> {
        Ok(Response::new(self.handle_update_customer(request).await?))
    }

    async fn erase_customer(
        &self,
        request: Request<pb::EraseCustomerRequest>,
    ) -> Result<Response<pb::EraseCustomerResponse>, Status> {
        Ok(Response::new(self.handle_erase_customer(request).await?))
    }

    async fn export_customer(
        &self,
        request: Request<pb::ExportCustomerRequest>,
    ) -> Result<Response<pb::ExportCustomerResponse>, Status> {
        Ok(Response::new(
            self.handle_export_customer(request.into_inner()).await?,
        ))
    }
}

impl From<CustomerRecord> for pb::Customer {
    fn from(customer: CustomerRecord) -> Self {
        Self {
            customer_id: customer.id.to_string(),
            email: customer.email,
            display_name: customer.display_name,
            phone: customer.phone,
            external_reference: customer.external_reference,
            create_time: Some(proto_convert::timestamp(customer.created_at)),
            update_time: Some(proto_convert::timestamp(customer.updated_at)),
            etag: format!("v{}", customer.version),
        }
    }
}
