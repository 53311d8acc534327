//! The commands that `holdfast up` prints for a start: they work as they stand, in their order.

use std::env;

use anyhow::Result;
use proto::catalog::{ListSeatsRequest, SeatState};
use serde_json::{Value, json};
use uuid::Uuid;

use crate::client::Clients;
use crate::demo_data::{CONCERT, FLIGHT};
use crate::output::line;
use crate::ports::PortOptions;

const BOOKINGS: &str = "holdfast.reservation.v1.BookingService";
const CATALOG: &str = "holdfast.catalog.v1.CatalogService";

/// Prints the commands, with ids of their own and a seat that is free.
pub(crate) async fn print(clients: &Clients, ports: &PortOptions, auth: bool) -> Result<()> {
    let seat = free_seat(clients).await?;
    let [seat_booking, stock_booking, payment] = std::array::from_fn(|_| Uuid::new_v4().to_string());
    let by_id = |id: &str| json!({ "booking_id": id });
    let concert = json!({ "product_id": CONCERT });
    let hold_seat = json!({
        "booking_id": seat_booking, "customer_id": "ada", "hold": true,
        "lines": [{ "seat": { "seat_map_id": FLIGHT, "label": seat } }],
    });
    let hold_stock = json!({
        "booking_id": stock_booking, "customer_id": "ada", "hold": true, "hold_ttl": "10s",
        "lines": [{ "product": { "product_id": CONCERT, "quantity": 5 } }],
    });
    let pay = json!({ "booking_id": seat_booking, "payment_id": payment, "success": true });

    let grpc = Grpcurl { program: program("grpcurl"), ports, auth };
    line("\nTry it (copy and paste):\n");
    if auth {
        line("export TOKEN=$(make token ROLE=operator)\n");
    }
    let header = if auth { "-H \"authorization: Bearer $TOKEN\" " } else { "" };
    line(format_args!("# Seat {seat}: held for 10 minutes, paid for, refunded; then it is free again"));
    grpc.print("CreateBooking", &hold_seat);
    grpc.print("GetBooking", &by_id(&seat_booking));
    grpc.print("PayBooking", &pay);
    grpc.print("RefundBooking", &by_id(&seat_booking));
    grpc.print("ListBookings", &json!({ "customer_id": "ada", "page_size": 5 }));
    line("\n# Five concert tickets, for 10 seconds: 95 are left, and then 100 again, by themselves");
    grpc.print("CreateBooking", &hold_stock);
    grpc.print("GetProduct", &concert);
    line("\n# The same with buf");
    let buf = program("buf");
    for (method, body) in [("GetProduct", &concert), ("GetBooking", &by_id(&stock_booking))] {
        let (service, port) = address(method, ports);
        line(format_args!(
            "{buf} curl --protocol grpc --http2-prior-knowledge {header}-d '{body}' \\\n  http://127.0.0.1:{port}/{service}/{method}"
        ));
    }
    line("\n# Over REST, as JSON");
    let (catalog, reservation) = (ports.catalog_http, ports.reservation_http);
    line(format_args!("curl -sS {header}http://127.0.0.1:{reservation}/v1/bookings/{stock_booking}"));
    line(format_args!(
        "curl -sS {header}'http://127.0.0.1:{catalog}/v1/seatMaps/{FLIGHT}/seats?state=FREE&pageSize=3'"
    ));
    line("\n# What there is");
    line(format_args!("http://127.0.0.1:{reservation}/docs in a browser, or"));
    line(format_args!("{} -plaintext 127.0.0.1:{} describe {BOOKINGS}", grpc.program, ports.reservation));
    line("\n`make demo` shows it all by itself; `make status`, `make logs`, `make psql`, `make down`.");
    Ok(())
}

/// 12A, or the first other seat that is free.
async fn free_seat(clients: &Clients) -> Result<String> {
    let request = ListSeatsRequest {
        seat_map_id: FLIGHT.to_owned(),
        state: SeatState::Free.into(),
        page_size: 200,
        ..ListSeatsRequest::default()
    };
    let free = clients.catalog.clone().list_seats(request).await?.into_inner().seats;
    let seat = free.iter().find(|seat| seat.label == "12A").or(free.first());
    Ok(seat.map_or_else(|| "12A".to_owned(), |seat| seat.label.clone()))
}

/// The name of a tool as it can be called: from PATH, else from `.tools/`.
fn program(name: &str) -> String {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = env::split_paths(&path).any(|dir| dir.join(name).is_file());
    if installed { name.to_owned() } else { format!(".tools/bin/{name}") }
}

struct Grpcurl<'a> {
    program: String,
    ports: &'a PortOptions,
    auth: bool,
}

impl Grpcurl<'_> {
    fn print(&self, method: &str, body: &Value) {
        let (service, port) = address(method, self.ports);
        let header = if self.auth { "-H \"authorization: Bearer $TOKEN\" " } else { "" };
        line(format_args!(
            "{} -plaintext {header}-d '{body}' \\\n  127.0.0.1:{port} {service}/{method}",
            self.program
        ));
    }
}

/// The service that has a method, and its port.
fn address(method: &str, ports: &PortOptions) -> (&'static str, u16) {
    if method.contains("Booking") { (BOOKINGS, ports.reservation) } else { (CATALOG, ports.catalog) }
}
