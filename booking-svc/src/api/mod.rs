//! BookingService and CustomerService: each handler parses, acts and replies.
//! Protobuf stays in here.

mod cancel_booking;
mod choices;
mod confirm_booking;
mod convert;
mod customers;
mod error;
mod extend_hold;
mod get_booking;
mod list_areas;
mod list_booking_events;
mod list_bookings;
mod list_seats;
mod parse;
mod payment;
mod requester;
mod reserve_seats;
mod swap_seats;

use std::time::Duration;

use proto::booking::v1 as pb;
use proto::booking::v1::booking_service_server::BookingService;
use tonic::{Request, Response, Status};

use crate::commands::BookingCommands;
use crate::sales::Sales;
use crate::store::Store;

pub use customers::Customers;

/// The shortest hold.
pub const HOLD_MIN: Duration = Duration::from_secs(10);
/// The longest hold.
pub const HOLD_MAX: Duration = Duration::from_secs(30 * 60);
/// The most seats and places of a booking under any configuration: the schema's limit.
pub const SEATS_PER_BOOKING_MAX: u16 = 100;

/// The limits of bookings, from the configuration.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most seats and places of a booking; 1 to [`SEATS_PER_BOOKING_MAX`].
    pub seats_per_booking_max: u16,
}

/// The service.
#[derive(Debug, Clone)]
pub struct Bookings {
    /// The commands that change bookings.
    pub commands: BookingCommands,
    /// The sales of shows.
    pub sales: Sales,
    /// The store, for reads.
    pub store: Store,
    /// The limits of requests.
    pub limits: Limits,
}

#[tonic::async_trait]
impl BookingService for Bookings {
    async fn reserve_seats(
        &self,
        request: Request<pb::ReserveSeatsRequest>,
    ) -> Result<Response<pb::ReserveSeatsResponse>, Status> {
        Ok(Response::new(self.handle_reserve_seats(request).await?))
    }

    async fn confirm_booking(
        &self,
        request: Request<pb::ConfirmBookingRequest>,
    ) -> Result<Response<pb::ConfirmBookingResponse>, Status> {
        Ok(Response::new(self.handle_confirm_booking(request).await?))
    }

    async fn extend_hold(
        &self,
        request: Request<pb::ExtendHoldRequest>,
    ) -> Result<Response<pb::ExtendHoldResponse>, Status> {
        Ok(Response::new(self.handle_extend_hold(request).await?))
    }

    async fn swap_seats(
        &self,
        request: Request<pb::SwapSeatsRequest>,
    ) -> Result<Response<pb::SwapSeatsResponse>, Status> {
        Ok(Response::new(self.handle_swap_seats(request).await?))
    }

    async fn cancel_booking(
        &self,
        request: Request<pb::CancelBookingRequest>,
    ) -> Result<Response<pb::CancelBookingResponse>, Status> {
        Ok(Response::new(self.handle_cancel_booking(request).await?))
    }

    async fn get_booking(
        &self,
        request: Request<pb::GetBookingRequest>,
    ) -> Result<Response<pb::GetBookingResponse>, Status> {
        Ok(Response::new(self.handle_get_booking(request).await?))
    }

    async fn list_bookings(
        &self,
        request: Request<pb::ListBookingsRequest>,
    ) -> Result<Response<pb::ListBookingsResponse>, Status> {
        Ok(Response::new(self.handle_list_bookings(request).await?))
    }

    async fn list_booking_events(
        &self,
        request: Request<pb::ListBookingEventsRequest>,
    ) -> Result<Response<pb::ListBookingEventsResponse>, Status> {
        Ok(Response::new(
            self.handle_list_booking_events(request).await?,
        ))
    }

    async fn list_seats(
        &self,
        request: Request<pb::ListSeatsRequest>,
    ) -> Result<Response<pb::ListSeatsResponse>, Status> {
        Ok(Response::new(
            self.handle_list_seats(request.into_inner()).await?,
        ))
    }

    async fn list_areas(
        &self,
        request: Request<pb::ListAreasRequest>,
    ) -> Result<Response<pb::ListAreasResponse>, Status> {
        Ok(Response::new(
            self.handle_list_areas(request.into_inner()).await?,
        ))
    }
}

#[cfg(test)]
mod tests;
