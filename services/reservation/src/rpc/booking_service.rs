//! BookingService: each RPC handed to its file.

use proto::reservation as pb;
use tonic::{Request, Response, Status};

use super::{change, create, opened, read};
use crate::app::App;

/// Serves the public API.
#[derive(Clone, Debug)]
pub struct BookingRpc(pub App);

#[tonic::async_trait]
impl pb::booking_service_server::BookingService for BookingRpc {
    async fn create_booking(
        &self,
        request: Request<pb::CreateBookingRequest>,
    ) -> Result<Response<pb::CreateBookingResponse>, Status> {
        let booking = Some(create::create_booking(&self.0, opened(request, "CreateBooking")?).await?);
        Ok(Response::new(pb::CreateBookingResponse { booking }))
    }

    async fn hold_booking(
        &self,
        request: Request<pb::HoldBookingRequest>,
    ) -> Result<Response<pb::HoldBookingResponse>, Status> {
        let booking = Some(create::hold_booking(&self.0, opened(request, "HoldBooking")?).await?);
        Ok(Response::new(pb::HoldBookingResponse { booking }))
    }

    async fn extend_hold(
        &self,
        request: Request<pb::ExtendHoldRequest>,
    ) -> Result<Response<pb::ExtendHoldResponse>, Status> {
        let booking = Some(change::extend_hold(&self.0, opened(request, "ExtendHold")?).await?);
        Ok(Response::new(pb::ExtendHoldResponse { booking }))
    }

    async fn start_payment(
        &self,
        request: Request<pb::StartPaymentRequest>,
    ) -> Result<Response<pb::StartPaymentResponse>, Status> {
        let booking = Some(change::start_payment(&self.0, opened(request, "StartPayment")?).await?);
        Ok(Response::new(pb::StartPaymentResponse { booking }))
    }

    async fn complete_payment(
        &self,
        request: Request<pb::CompletePaymentRequest>,
    ) -> Result<Response<pb::CompletePaymentResponse>, Status> {
        let booking = Some(change::complete_payment(&self.0, opened(request, "CompletePayment")?).await?);
        Ok(Response::new(pb::CompletePaymentResponse { booking }))
    }

    async fn pay_booking(
        &self,
        request: Request<pb::PayBookingRequest>,
    ) -> Result<Response<pb::PayBookingResponse>, Status> {
        let booking = Some(change::pay_booking(&self.0, opened(request, "PayBooking")?).await?);
        Ok(Response::new(pb::PayBookingResponse { booking }))
    }

    async fn cancel_booking(
        &self,
        request: Request<pb::CancelBookingRequest>,
    ) -> Result<Response<pb::CancelBookingResponse>, Status> {
        let booking = Some(change::cancel_booking(&self.0, opened(request, "CancelBooking")?).await?);
        Ok(Response::new(pb::CancelBookingResponse { booking }))
    }

    async fn refund_booking(
        &self,
        request: Request<pb::RefundBookingRequest>,
    ) -> Result<Response<pb::RefundBookingResponse>, Status> {
        let booking = Some(change::refund_booking(&self.0, opened(request, "RefundBooking")?).await?);
        Ok(Response::new(pb::RefundBookingResponse { booking }))
    }

    async fn get_booking(
        &self,
        request: Request<pb::GetBookingRequest>,
    ) -> Result<Response<pb::GetBookingResponse>, Status> {
        let booking = Some(read::get_booking(&self.0, opened(request, "GetBooking")?).await?);
        Ok(Response::new(pb::GetBookingResponse { booking }))
    }

    async fn list_bookings(
        &self,
        request: Request<pb::ListBookingsRequest>,
    ) -> Result<Response<pb::ListBookingsResponse>, Status> {
        Ok(Response::new(read::list_bookings(&self.0, opened(request, "ListBookings")?).await?))
    }

    async fn list_booking_history(
        &self,
        request: Request<pb::ListBookingHistoryRequest>,
    ) -> Result<Response<pb::ListBookingHistoryResponse>, Status> {
        Ok(Response::new(read::list_booking_history(&self.0, opened(request, "ListBookingHistory")?).await?))
    }
}
